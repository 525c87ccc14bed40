/** A file that cannot be read as an image. */
export class NoImage extends Error {
  /** @param {File} file */
  constructor(file) {
    const kind = file.type || 'unknown kind';
    super(file.size
      ? `This file (${kind}) is not an image that your browser can read, or it is damaged. `
        + 'JPEG, PNG, WebP, AVIF, GIF and BMP are understood.'
      : 'This file is empty.');
    this.name = 'NoImage';
  }
}

/** @returns {string} such as `2.4 megapixels` */
export function megapixels(count) {
  return `${rounded(count / 1e6)} megapixels`;
}

/** @returns {string} such as `0.11 megapixels a second` */
export function speed(pixels, seconds) {
  return `${rounded(pixels / 1e6 / seconds)} megapixels a second`;
}

/** @returns {string} such as `3 min 20 s` */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return minutes < 10 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @returns {string} such as `3.1 MB` */
export function fileSize(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${rounded(bytes / 1e6)} MB`;
}

/** @returns {string} the name of the enlarged file, such as `photo-x4.png` */
export function resultName(name, scale) {
  return `${name.replace(/\.\w{1,5}$/, '') || 'photo'}-x${scale}.png`;
}

function rounded(value) {
  return String(Number(value.toPrecision(value < 100 ? 2 : 3)));
}
