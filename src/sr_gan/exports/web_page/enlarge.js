import {ALPHA_REACH, enlargeWithAlpha} from './alpha.js';
import {spans} from './tiles.js';

/**
 * Enlarges a photo in bands, from top to bottom, each made of a row of tiles.
 *
 * @param {Photo} photo
 * @param {{run: Function, side: number}} network what computes a tile, and the side of a tile
 * @param {{scale: number, reach: number}} model
 * @param {(tile: {x: number, y: number, pixels: ImageData, made: number}) => Promise<void>} onTile
 *   is called with the pixels of each tile, where they lie in the result, and how many pixels have
 *   been made so far
 * @yields {Uint8Array} rows of the result with as many bytes a pixel as {@link channels} says
 */
export async function* enlarge(photo, network, {scale, reach}, onTile) {
  const beyond = photo.sameAlpha ? reach : reach + ALPHA_REACH;
  const columns = spans(photo.width, network.side, beyond);
  const bytes = channels(photo), stride = photo.width * scale * bytes;
  let made = 0;
  for (const row of spans(photo.height, network.side, beyond)) {
    const band = new Uint8Array((row.stop - row.start) * scale * stride);
    for (const column of columns) {
      const window = await photo.read(column.from, row.from, column.size, row.size);
      const size = {width: column.size, height: row.size, scale};
      const planes = await enlargeWindow(window, size, photo, network);
      const pixels = core(planes, row, column, scale, photo.grey);
      paste(pixels, band, column.start * scale * bytes, stride, bytes);
      made += pixels.width * pixels.height;
      await onTile({x: column.start * scale, y: row.start * scale, pixels, made});
    }
    yield band;
  }
}

/** @returns {1|2|3|4} the channels of the result: a photo without colours stays grey */
export function channels(photo) {
  return (photo.grey ? 1 : 3) + Number(photo.alpha);
}

/** Returns three planes of colours in [0, 1], and one of alpha if the photo is transparent. */
async function enlargeWindow(rgba, size, photo, network) {
  const count = size.width * size.height;
  const [red, green, blue, alpha] = [0, 1, 2, 3].map((c) =>
    Float32Array.from({length: count}, (_, i) => rgba[4 * i + c] / 255));
  const colour = [red, green, blue], run = (planes) => network.run(planes, size);
  return photo.alpha ? enlargeWithAlpha(run, colour, alpha, size) : run(colour);
}

/** Cuts the core out of an enlarged window, and rounds it to 8 bits. */
function core(planes, row, column, scale, grey) {
  const width = (column.stop - column.start) * scale, height = (row.stop - row.start) * scale;
  const left = (column.start - column.from) * scale, top = (row.start - row.from) * scale;
  const image = new ImageData(width, height);
  const [red, green, blue, alpha] = planes, to = image.data; // which rounds and clips
  for (let y = 0, i = 0; y < height; y++) {
    let from = (top + y) * column.size * scale + left;
    for (let x = 0; x < width; x++, from++, i += 4) {
      const mean = grey ? (red[from] + green[from] + blue[from]) / 3 : 0;
      to[i] = 255 * (grey ? mean : red[from]);
      to[i + 1] = 255 * (grey ? mean : green[from]);
      to[i + 2] = 255 * (grey ? mean : blue[from]);
      to[i + 3] = alpha ? 255 * alpha[from] : 255;
    }
  }
  return image;
}

function paste({width, height, data}, band, left, stride, bytes) {
  const colours = bytes < 3 ? 1 : 3, hasAlpha = bytes % 2 === 0;
  for (let y = 0, i = 0; y < height; y++) {
    let to = y * stride + left;
    for (let x = 0; x < width; x++, i += 4) {
      for (let c = 0; c < colours; c++) band[to++] = data[i + c];
      if (hasAlpha) band[to++] = data[i + 3];
    }
  }
}
