/**
 * Cuts a length into windows of one size. Each window is computed whole, and only its core is kept.
 *
 * A window lies inside the image, so that its outer edge is the image's own border or is at least
 * `reach` pixels away from its core. The network pads the border of an image with zeros: a window
 * that was padded there would give other pixels.
 *
 * @param {number} length the length of the image in pixels
 * @param {number} size the length of every window; a shorter image is one window of its own length
 * @param {number} reach how many pixels a result depends on to each side; less than size / 2
 * @returns {{from: number, size: number, start: number, stop: number}[]} where each window begins,
 *   its length, and the range that is kept of it
 */
export function spans(length, size, reach) {
  if (length <= size) return [{from: 0, size: length, start: 0, stop: length}];
  const count = 1 + Math.ceil((length - size) / (size - 2 * reach));
  const from = Array.from({length: count}, (_, i) =>
    Math.round((i * (length - size)) / (count - 1)));
  // Neighbours overlap by at least two reaches, and meet in the middle of their overlap.
  const meet = from.slice(1).map((next, i) => Math.floor((next + from[i] + size) / 2));
  return from.map((each, i) =>
    ({from: each, size, start: meet[i - 1] ?? 0, stop: meet[i] ?? length}));
}

/**
 * The side of the largest square tile whose largest tensor fits into a buffer.
 *
 * @param {number} bytes the size of the buffer
 * @param {{bytesPerPixel: number, reach: number}} model the bytes of the largest tensor for each
 *   pixel of the input, and the reach
 * @param {number} most the largest side that is useful
 * @returns {number} the side in pixels of the input, a multiple of 16
 */
export function tileSide(bytes, model, most) {
  const least = 2 * model.reach + 32;
  const side = Math.floor(Math.sqrt(bytes / model.bytesPerPixel));
  return Math.floor(Math.max(least, Math.min(most, side)) / 16) * 16;
}
