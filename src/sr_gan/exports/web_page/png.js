const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}; // grey, grey and alpha, RGB, RGB and alpha
const PAETH = 4;
const CHUNK = 1 << 20; // bytes of an IDAT chunk
const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** Writes a PNG from top to bottom, so that the whole image is never in memory. */
export class PngWriter {
  /**
   * @param {number} width in pixels
   * @param {number} height in pixels
   * @param {1|2|3|4} channels of 8 bits: grey, grey and alpha, RGB, or RGB and alpha
   */
  constructor(width, height, channels) {
    const header = new DataView(new ArrayBuffer(13));
    header.setUint32(0, width);
    header.setUint32(4, height);
    header.setUint8(8, 8);
    header.setUint8(9, COLOUR_TYPES[channels]);
    this.channels = channels;
    this.above = new Uint8Array(width * channels);
    this.parts = [Uint8Array.from(SIGNATURE)];
    this.#chunk('IHDR', new Uint8Array(header.buffer));
    this.#chunk('sRGB', Uint8Array.of(0));
    const deflate = new CompressionStream('deflate');
    this.input = deflate.writable.getWriter();
    this.collected = this.#collect(deflate.readable.getReader());
    this.collected.catch(() => {}); // write() and finish() report it
  }

  /**
   * Adds rows.
   *
   * @param {Uint8Array} pixels rows of `channels` interleaved bytes a pixel
   */
  async write(pixels) {
    const stride = this.above.length;
    const rows = Math.max(1, Math.floor(CHUNK / stride));
    for (let at = 0; at < pixels.length; at += rows * stride) {
      const part = pixels.subarray(at, at + rows * stride);
      // If nobody takes what is compressed, as memory is full, the input would wait forever.
      await Promise.race([this.input.write(this.#filtered(part, stride)), this.collected]);
    }
  }

  /** @returns {Promise<Blob>} the file */
  async finish() {
    await Promise.all([this.input.close(), this.collected]);
    this.#chunk('IEND', new Uint8Array(0));
    return new Blob(this.parts, {type: 'image/png'});
  }

  /** Predicts each byte from its neighbours to the left, above and above left (PNG, section 9). */
  #filtered(pixels, stride) {
    const step = this.channels;
    const rows = pixels.length / stride;
    const out = new Uint8Array(pixels.length + rows);
    for (let row = 0, to = 0; row < rows; row++) {
      const line = pixels.subarray(row * stride, (row + 1) * stride);
      const above = this.above;
      out[to++] = PAETH;
      for (let i = 0; i < stride; i++) {
        const a = i < step ? 0 : line[i - step], b = above[i], c = i < step ? 0 : above[i - step];
        const pa = Math.abs(b - c), pb = Math.abs(a - c), pc = Math.abs(a + b - 2 * c);
        out[to++] = line[i] - (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
      }
      this.above = line;
    }
    this.above = this.above.slice();
    return out;
  }

  async #collect(reader) {
    let held = [], size = 0, more = true;
    while (more) {
      const {done, value} = await reader.read();
      more = !done;
      if (value) held.push(value), (size += value.length);
      if (size >= CHUNK || (done && size)) {
        this.#chunk('IDAT', ...held);
        held = [], size = 0;
        this.parts = [new Blob(this.parts)]; // a browser can move a Blob to the disk
      }
    }
  }

  #chunk(type, ...parts) {
    const name = new TextEncoder().encode(type);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    let crc = -1;
    for (const part of [name, ...parts]) {
      for (const byte of part) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
    }
    this.parts.push(bigEndian(length), name, ...parts, bigEndian(~crc));
  }
}

function bigEndian(number) {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, number);
  return view.buffer;
}
