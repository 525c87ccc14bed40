/** Enlarges one photo after the other, beside the page, so that the page stays alive. */

import {channels, enlarge} from './enlarge.js';
import {Photo} from './photo.js';
import {PngWriter} from './png.js';
import {Network, describe, waysToRun} from './runtime.js';
import {NoImage} from './words.js';

const EXACT = 32e6; // pixels; the tiles of larger results are shown as JPEG, which saves memory

let network = null;
let ways = null;

self.onmessage = async ({data}) => {
  let photo;
  try {
    photo = await Photo.open(data.file);
    await enlargeSomehow(photo, data);
  } catch (error) {
    const known = error instanceof NoImage;
    const message = known ? error.message : `It could not be enlarged: ${error.message ?? error}`;
    self.postMessage({type: 'failed', message});
  } finally {
    photo?.close();
  }
};

/** Tries one way after the other, as a GPU may be lost and memory may be full. */
async function enlargeSomehow(photo, {model, wish}) {
  ways ??= await waysToRun(model, wish);
  for (;;) {
    try {
      network ??= await Network.open(model, ways[0]);
      await enlargeWith(network, photo, model);
      return;
    } catch (error) {
      await network?.close().catch(() => {});
      network = null;
      if (ways.length === 1) throw error;
      const reason = String(error.message ?? error).slice(0, 120);
      self.postMessage({type: 'gaveUp', text: `${describe(ways.shift())} failed: ${reason}`});
    }
  }
}

async function enlargeWith(network, photo, model) {
  const {width, height} = photo;
  const size = {width: width * model.scale, height: height * model.scale};
  const preview = await photo.preview();
  const about = {backend: describe(network.way), isolated: crossOriginIsolated};
  self.postMessage({type: 'began', width, height, preview, ...about}, [preview]);
  const png = new PngWriter(size.width, size.height, channels(photo));
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const total = size.width * size.height;
  const show = async ({x, y, pixels, made}) => {
    const picture = await encoded(pixels, photo.alpha || total <= EXACT);
    const {width, height} = pixels;
    self.postMessage({type: 'tile', x, y, width, height, picture, share: made / total,
      made, seconds: seconds()});
  };
  for await (const band of enlarge(photo, network, model, show)) await png.write(band);
  const result = await png.finish();
  self.postMessage({type: 'done', result, pixels: total, seconds: seconds()});
}

async function encoded(pixels, exact) {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas.convertToBlob({type: exact ? 'image/png' : 'image/jpeg', quality: 0.95});
}
