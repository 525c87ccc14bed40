/**
 * Enlarges images with transparency, so that no colour shows that alpha hides. It computes what
 * `transparency.py` of sr_gan does, which says why. Planes are Float32Array, (height, width).
 */

const BICUBIC = 2; // pixels that the bicubic reaches
const REACH = 3; // pixels that a pixel's neighbourhood reaches
const GREY = 0.5;
const FAINT = 4 / 255;

export const ALPHA_REACH = BICUBIC + REACH; // besides the reach of the network

/**
 * @param {(planes: Float32Array[]) => Promise<Float32Array[]>} run the network: three planes of
 *   (height, width) in [0, 1] to three of (scale * height, scale * width)
 * @param {Float32Array[]} colour three planes in [0, 1]
 * @param {Float32Array} alpha a plane in [0, 1]
 * @param {{width: number, height: number, scale: number}} size
 * @returns {Promise<Float32Array[]>} three planes of colours and one of alpha, enlarged
 */
export async function enlargeWithAlpha(run, colour, alpha, size) {
  const smooth = bicubic(alpha, size);
  if (alpha.every((value) => value === alpha[0])) {
    const sr = alpha[0] > 0 ? await run(colour) : colour.map((plane) => bicubic(plane, size));
    return [...sr, smooth];
  }
  const highest = extreme(alpha, size, Math.max, 1), lowest = extreme(alpha, size, Math.min, 1);
  const byNetwork = await run([alpha, alpha, alpha]);
  const wide = size.width * size.scale;
  const opacity = smooth.map((value, i) => {
    const x = Math.floor((i % wide) / size.scale), y = Math.floor(i / wide / size.scale);
    const at = y * size.width + x;
    if (lowest[at] === highest[at]) return value;
    return (byNetwork[0][i] + byNetwork[1][i] + byNetwork[2][i]) / 3;
  });
  const visible = colour.map((plane) => blended(plane, alpha, size));
  const sr = await run(visible);
  return [...sr.map((plane, c) => {
    const hidden = bicubic(colour[c], size), seen = bicubic(visible[c], size);
    const premultiplied = bicubic(colour[c].map((value, i) => value * alpha[i]), size);
    return plane.map((value, i) => {
      if (!(opacity[i] > 0)) return hidden[i];
      const trust = clamp(smooth[i] / FAINT, 0, 1);
      return trust > 0
        ? value + trust * (clamp(premultiplied[i] / smooth[i], -1, 2) - seen[i])
        : value;
    });
  }), opacity];
}

/** Blends each pixel with its neighbourhood, the more, the fainter it is in comparison. */
function blended(plane, alpha, size) {
  const weight = mean(alpha, size), highest = extreme(alpha, size, Math.max, REACH);
  const nearby = mean(plane.map((value, i) => value * alpha[i]), size);
  return plane.map((value, i) => {
    if (!(highest[i] > 0 && weight[i] > 0)) return GREY;
    const share = alpha[i] / highest[i];
    return share * value + ((1 - share) * nearby[i]) / weight[i];
  });
}

/** Enlarges a plane by the bicubic of MATLAB: a = -0.5, the border is mirrored. */
function bicubic(plane, {width, height, scale}) {
  const taps = Array.from({length: scale}, (_, phase) => {
    const centre = (phase + 0.5) / scale - 0.5;
    const weights = [-2, -1, 0, 1, 2].map((at) => cubic(Math.abs(at - centre)));
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / sum);
  });
  const tall = new Float64Array(width * height * scale);
  for (let y = 0; y < height * scale; y++) {
    const from = Math.floor(y / scale), weights = taps[y % scale];
    for (let k = 0; k < 5; k++) {
      const row = mirror(from + k - 2, height) * width;
      for (let x = 0; x < width; x++) tall[y * width + x] += weights[k] * plane[row + x];
    }
  }
  const large = new Float32Array(tall.length * scale);
  for (let x = 0; x < width * scale; x++) {
    const from = Math.floor(x / scale), weights = taps[x % scale];
    const columns = [-2, -1, 0, 1, 2].map((k) => mirror(from + k, width));
    for (let y = 0; y < height * scale; y++) {
      let sum = 0;
      for (let k = 0; k < 5; k++) sum += weights[k] * tall[y * width + columns[k]];
      large[y * width * scale + x] = sum;
    }
  }
  return large;
}

function cubic(x) {
  if (x <= 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x <= 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}

function mirror(index, length) {
  const inside = ((index % (2 * length)) + 2 * length) % (2 * length);
  return inside < length ? inside : 2 * length - 1 - inside;
}

/** The mean of the 7x7 pixels around each one; those beyond the border count as 0. */
function mean(plane, size) {
  const add = (sum, value) => sum + value;
  return around(plane, size, REACH, 0, add).map((sum) => sum / (2 * REACH + 1) ** 2);
}

/** The largest or smallest of the pixels around each one that are at most `reach` away. */
function extreme(plane, size, choose, reach) {
  return around(plane, size, reach, choose === Math.max ? -Infinity : Infinity, choose);
}

function around(plane, {width, height}, reach, start, combine) {
  const pass = (from, along, across, step, stride) => {
    const to = new Float32Array(from.length);
    for (let i = 0; i < along; i++) {
      const first = Math.max(0, i - reach), last = Math.min(along - 1, i + reach);
      for (let j = 0; j < across; j++) {
        let value = start;
        for (let k = first; k <= last; k++) value = combine(value, from[k * step + j * stride]);
        to[i * step + j * stride] = value;
      }
    }
    return to;
  };
  return pass(pass(plane, height, width, width, 1), width, height, 1, width);
}

function clamp(value, lowest, highest) {
  return Math.min(highest, Math.max(lowest, value));
}
