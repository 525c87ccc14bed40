import {NoImage} from './words.js';

const ROWS = 256; // that are looked at together
const PREVIEW = 4096; // pixels of the longer side

/** A decoded photograph, of which windows are read. No copy of the whole is made. */
export class Photo {
  /**
   * Decodes a file, turns it upright as its EXIF data say, and converts its colours to sRGB.
   *
   * @param {Blob} file the file
   * @returns {Promise<Photo>}
   * @throws {NoImage} the browser cannot read it as an image
   */
  static async open(file) {
    const options = {imageOrientation: 'from-image', premultiplyAlpha: 'none'};
    const bitmap = await createImageBitmap(file, options).catch(() => {
      throw new NoImage(file);
    });
    const photo = new Photo(bitmap);
    photo.#survey();
    return photo;
  }

  constructor(bitmap) {
    this.bitmap = bitmap;
    this.width = bitmap.width;
    this.height = bitmap.height;
    this.grey = true; // whether no pixel has a colour
    this.alpha = false; // whether a pixel is transparent
    this.sameAlpha = true; // whether all are equally transparent
  }

  /**
   * @returns {Uint8ClampedArray} the pixels of a window, RGBA, not premultiplied
   */
  async read(x, y, width, height) {
    return (this.alpha && (await this.#readExactly(x, y, width, height)))
      || this.#draw(x, y, width, height);
  }

  /** @returns {Promise<ImageBitmap>} the photo, reduced if it is large */
  async preview() {
    const share = Math.min(1, PREVIEW / Math.max(this.width, this.height));
    return createImageBitmap(this.bitmap, {
      resizeWidth: Math.max(1, Math.round(this.width * share)),
      resizeHeight: Math.max(1, Math.round(this.height * share)),
      resizeQuality: 'high',
    });
  }

  close() {
    this.bitmap.close();
  }

  #survey() {
    let first;
    for (let y = 0; y < this.height; y += ROWS) {
      const pixels = this.#draw(0, y, this.width, Math.min(ROWS, this.height - y));
      first ??= pixels[3];
      for (let i = 0; i < pixels.length; i += 4) {
        if (pixels[i] !== pixels[i + 1] || pixels[i] !== pixels[i + 2]) this.grey = false;
        if (pixels[i + 3] !== 255) this.alpha = true;
        if (pixels[i + 3] !== first) this.sameAlpha = false;
      }
    }
  }

  /** A canvas premultiplies by alpha, and so rounds the colours of faint pixels. */
  #draw(x, y, width, height) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.drawImage(this.bitmap, x, y, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }

  /** WebGL does not premultiply. Returns null where it is missing. */
  async #readExactly(x, y, width, height) {
    this.gl ??= new OffscreenCanvas(1, 1).getContext('webgl2') ?? false;
    const gl = this.gl;
    if (!gl || gl.isContextLost()) return null;
    const options = {premultiplyAlpha: 'none'};
    const part = await createImageBitmap(this.bitmap, x, y, width, height, options);
    const texture = gl.createTexture(), frame = gl.createFramebuffer();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, part);
    gl.framebufferTexture2D(
      gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    const pixels = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    const failed = gl.getError() !== gl.NO_ERROR;
    gl.deleteFramebuffer(frame);
    gl.deleteTexture(texture);
    part.close();
    return failed ? null : new Uint8ClampedArray(pixels.buffer);
  }
}
