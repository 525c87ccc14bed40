import {tileSide} from './tiles.js';

const MEBI = 2 ** 20;
const MOST_THREADS = 8;
const BUFFER = 256 * MEBI; // bytes of the largest tensor, beyond which memory runs short
const MOST = 256; // pixels of the side of a tile; larger ones take more memory and are no faster

/**
 * Lists the ways to run the network here, the fastest first.
 *
 * @param {object} model what model.json says
 * @param {{backend?: string, threads?: number, tile?: number}} wish what the address asks for
 * @returns {Promise<{backend: string, threads: number, side: number}[]>}
 */
export async function waysToRun(model, wish) {
  const ways = [];
  const side = (bytes) => tileSide(wish.tile ? Infinity : bytes, model, wish.tile ?? MOST);
  const limits = wish.backend === 'wasm' ? null : await gpuLimits();
  if (limits) {
    const bytes = Math.min(BUFFER, limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    ways.push({backend: 'webgpu', threads: 1, side: side(bytes)});
  }
  const threads = self.crossOriginIsolated
    ? Math.min(navigator.hardwareConcurrency || 1, wish.threads || MOST_THREADS)
    : 1;
  // If memory does not suffice, a smaller tile may.
  for (const bytes of [BUFFER, BUFFER / 8]) {
    ways.push({backend: 'wasm', threads, side: side(bytes)});
  }
  return ways;
}

/** @returns {string} such as `WebAssembly, 4 threads` */
export function describe({backend, threads}) {
  if (backend === 'webgpu') return 'WebGPU';
  return `WebAssembly, ${threads > 1 ? `${threads} threads` : 'one thread'}`;
}

/** A network that enlarges tiles. */
export class Network {
  /**
   * @param {object} model what model.json says
   * @param {{backend: string, threads: number, side: number}} way one of {@link waysToRun}
   */
  static async open(model, way) {
    // The WebGPU build is twice as large, so that it is loaded only where it is used.
    const ort = await import(way.backend === 'webgpu' ? './ort.webgpu.min.mjs' : './ort.wasm.min.mjs');
    ort.env.wasm.wasmPaths = new URL('./', import.meta.url).href;
    ort.env.wasm.numThreads = way.threads;
    const answer = await fetch(new URL(model.file, import.meta.url));
    if (!answer.ok) throw new Error(`${model.file} is missing beside this page`);
    const weights = new Uint8Array(await answer.arrayBuffer());
    return Object.assign(new Network(), {ort, weights, way, side: way.side, model});
  }

  /**
   * Enlarges a window. All windows of a photo have one size, and a session is made for this size,
   * as buffers of WebGPU cannot change theirs. A photo smaller than a tile has its own session.
   *
   * @param {Float32Array[]} planes red, green and blue in [0, 1], (height, width)
   * @param {{width: number, height: number}} size
   * @returns {Promise<Float32Array[]>} the enlarged planes, not clipped
   */
  async run(planes, {width, height}) {
    if (this.width !== width || this.height !== height) await this.#prepare(width, height);
    const count = width * height, image = new Float32Array(3 * count);
    planes.forEach((plane, c) => image.set(plane, c * count));
    const input = new this.ort.Tensor('float32', image, [1, 3, height, width]);
    const {enlarged} = await this.session.run({image: input});
    const large = count * this.model.scale ** 2;
    return [0, 1, 2].map((c) => enlarged.data.subarray(c * large, (c + 1) * large));
  }

  async close() {
    await this.session?.release();
    this.session = this.width = null;
  }

  async #prepare(width, height) {
    await this.close();
    this.session = await this.ort.InferenceSession.create(this.weights, {
      executionProviders: [this.way.backend],
      freeDimensionOverrides: {batch: 1, height, width},
      graphOptimizationLevel: 'all',
    });
    [this.width, this.height] = [width, height];
  }
}

async function gpuLimits() {
  try {
    return (await navigator.gpu?.requestAdapter({powerPreference: 'high-performance'}))?.limits;
  } catch {
    return null;
  }
}
