/** The page: takes photos, enlarges them one after the other, and shows the results. */

import {JobView} from './job.js';
import {Viewer} from './viewer.js';
import {duration, fileSize, megapixels, resultName, speed} from './words.js';

const at = (id) => document.getElementById(id);
const address = new URLSearchParams(location.search);
const wish = { // for those who compare: ?backend=wasm&threads=1&tile=256
  backend: address.get('backend') ?? undefined,
  threads: Number(address.get('threads')) || undefined,
  tile: Number(address.get('tile')) || undefined,
};
const model = await (await fetch('model.json')).json();
const viewer = new Viewer(at('view'), {
  divider: at('divider'), percent: at('percent'), zoomIn: at('in'), zoomOut: at('out'),
  fit: at('fit'), full: at('full'),
});
const waiting = [];
let worker = null;
let current = null;
let shown = null;

at('stopped').remove();
at('drop').hidden = false;
takePhotos();

/** Wires the three ways in which photos come: chosen, dropped, pasted. */
function takePhotos() {
  at('files').addEventListener('change', ({target}) => {
    add(target.files);
    target.value = ''; // the same file may be chosen again
  });
  addEventListener('paste', (event) => add(event.clipboardData.files));
  addEventListener('dragover', (event) => {
    event.preventDefault();
    at('drop').classList.add('over');
  });
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) at('drop').classList.remove('over');
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    at('drop').classList.remove('over');
    add(event.dataTransfer.files);
  });
  addEventListener('beforeunload', (event) => current && event.preventDefault());
}

function add(files) {
  for (const [number, file] of [...files].entries()) {
    const job = {file, tiles: [], isFirst: number === 0}; // the others do not take over the view
    job.view = new JobView(file.name || 'pasted photo', {
      show: () => show(job), cancel: () => cancel(job), remove: () => remove(job),
    });
    at('jobs').append(job.view.element);
    waiting.push(job);
  }
  next();
}

/** Begins the next photo, if none is being enlarged. */
function next() {
  if (current || !waiting.length) return;
  current = waiting.shift();
  current.view.say('Loading …');
  current.view.progress(null);
  worker ??= start();
  worker.postMessage({file: current.file, model, wish});
}

function start() {
  const made = new Worker(new URL('worker.js', import.meta.url), {type: 'module'});
  made.onmessage = ({data}) => ON[data.type](current, data);
  made.onerror = (event) => {
    stop();
    const message = `The page's worker stopped: ${event.message || 'it could not be loaded'}`;
    if (current) ON.failed(current, {message});
  };
  return made;
}

/** What happens on a message of the worker. */
const ON = {
  gaveUp(job, {text}) {
    job.gaveUp = text;
  },
  began(job, {width, height, preview, backend, isolated}) {
    job.size = {width: width * model.scale, height: height * model.scale};
    job.preview?.close(); // of an earlier attempt
    job.preview = preview;
    job.tiles = [];
    job.view.thumbnail(preview);
    const why = [isolated || backend === 'WebGPU' ? '' : 'this host allows no threads', job.gaveUp];
    const reasons = why.filter(Boolean).join('; ');
    job.way = backend + (reasons && ` (${reasons})`);
    at('backend').textContent = `Runs on ${job.way}.`;
    if (!shown || shown === job || job.isFirst) show(job);
  },
  tile(job, tile) {
    job.tiles.push(tile);
    if (shown === job) viewer.add(tile);
    const left = (tile.seconds / tile.share) * (1 - tile.share);
    job.view.progress(tile.share);
    const rate = speed(tile.made, tile.seconds);
    job.view.say(`${Math.floor(100 * tile.share)} %, about ${duration(left)} left; ${rate}`);
  },
  done(job, {result, pixels, seconds}) {
    const {width, height} = job.size;
    job.view.finished(result, resultName(job.file.name || 'pasted', model.scale));
    job.view.say(`${width} × ${height} pixels, ${fileSize(result.size)}, in ${duration(seconds)}`);
    at('backend').textContent =
      `Ran on ${job.way}: ${megapixels(pixels)} at ${speed(pixels, seconds)}.`;
    at('status').textContent = `${job.view.name} is ready.`;
    current = null;
    next();
  },
  failed(job, {message}) {
    job.view.failed(message);
    at('status').textContent = `${job.view.name}: ${message}`;
    if (shown === job) hide();
    current = null;
    next();
  },
};

function show(job) {
  shown?.view.element.classList.remove('shown');
  job.view.element.classList.add('shown');
  shown = job;
  at('viewer').hidden = false;
  viewer.show(job.preview, job.size, job.tiles);
}

function hide() {
  shown = null;
  at('viewer').hidden = true;
  viewer.clear();
}

/** Ends the worker with its photo, which is the one way to stop it at once. */
function cancel(job) {
  if (job === current) {
    stop();
    current = null;
  } else waiting.splice(waiting.indexOf(job), 1);
  at('status').textContent = `${job.view.name} was cancelled.`;
  remove(job);
  next();
}

function stop() {
  worker?.terminate();
  worker = null;
}

function remove(job) {
  job.view.element.remove();
  job.view.forget();
  if (shown === job) hide();
  job.preview?.close();
}
