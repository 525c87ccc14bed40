import {Gestures} from './gestures.js';
import {Tiles} from './view_tiles.js';

const MOST_ZOOM = 8; // CSS pixels for a pixel of the result, unless all of it fits at a larger zoom
const STEP = 1.5;

/**
 * Shows a photo before and after on a canvas of the size of the screen, with a divider between.
 *
 * `zoom` is the number of CSS pixels for a pixel of the result, and `centre` is the pixel of the
 * result in the middle of the canvas.
 */
export class Viewer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} controls the range `divider`, the output `percent`, and the buttons `zoomIn`,
   *   `zoomOut`, `fit` and `full`
   */
  constructor(canvas, controls) {
    Object.assign(this, {canvas, controls, tiles: new Tiles(() => this.redraw())});
    this.gestures = new Gestures(canvas, this);
    controls.divider.addEventListener('input', () => this.redraw());
    controls.zoomIn.onclick = () => this.zoomBy(STEP);
    controls.zoomOut.onclick = () => this.zoomBy(1 / STEP);
    controls.fit.onclick = () => this.fit();
    controls.full.onclick = () => this.zoomBy(1 / devicePixelRatio / this.zoom);
    canvas.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.#resized()).observe(canvas);
  }

  /**
   * @param {ImageBitmap} before the photo, which may be reduced
   * @param {{width: number, height: number}} size the size of the result
   * @param {object[]} tiles those that are made already
   */
  show(before, size, tiles) {
    Object.assign(this, {before, size});
    this.tiles.reset(size);
    this.canvas.parentElement.classList.toggle('enlarged', tiles.length > 0);
    tiles.forEach((tile) => this.tiles.add(tile));
    this.canvas.style.aspectRatio = size.width / size.height;
    this.#resized();
    this.fit();
  }

  /** @param {object} tile a message of the worker */
  add(tile) {
    this.canvas.parentElement.classList.add('enlarged');
    this.tiles.add(tile);
  }

  clear() {
    this.before = null;
    this.tiles.reset({width: 1, height: 1});
  }

  /** Shows the whole photo. */
  fit() {
    if (!this.before) return;
    this.zoom = this.#fitting();
    this.centre = {x: this.size.width / 2, y: this.size.height / 2};
    this.redraw();
  }

  /** Whether a part of the photo is outside the canvas, so that there is something to move. */
  get isZoomed() {
    return this.zoom > this.#fitting() * 1.001;
  }

  /** Zooms; the point at (x, y) in CSS pixels stays where it is, or the middle. */
  zoomBy(factor, x = this.width / 2, y = this.height / 2) {
    if (!this.before) return;
    const fitting = this.#fitting();
    const least = Math.min(fitting, 1 / devicePixelRatio), most = Math.max(fitting, MOST_ZOOM);
    const zoom = Math.max(least, Math.min(most, this.zoom * factor));
    const shift = 1 / this.zoom - 1 / zoom;
    this.centre.x += (x - this.width / 2) * shift;
    this.centre.y += (y - this.height / 2) * shift;
    this.zoom = zoom;
    this.moveBy(0, 0);
  }

  /** Moves the photo by CSS pixels, not beyond its edges. */
  moveBy(x, y) {
    if (!this.before) return;
    for (const [axis, by, view, length] of
      [['x', x, this.width, this.size.width], ['y', y, this.height, this.size.height]]) {
      const half = Math.min(length, view / this.zoom) / 2;
      this.centre[axis] =
        Math.max(half, Math.min(length - half, this.centre[axis] - by / this.zoom));
    }
    this.redraw();
  }

  /** Puts the divider at x, in CSS pixels from the left of the canvas. */
  divideAt(x) {
    this.controls.divider.value = (100 * x) / this.width;
    this.redraw();
  }

  /** Where the divider is, in CSS pixels from the left of the canvas. */
  get divider() {
    return (this.controls.divider.value / 100) * this.width;
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.before) this.#draw();
    });
  }

  #draw() {
    const context = this.canvas.getContext('2d');
    const {width, height, zoom, centre, size} = this, ratio = devicePixelRatio;
    const left = width / 2 - centre.x * zoom, top = height / 2 - centre.y * zoom;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.before, left, top, size.width * zoom, size.height * zoom);
    context.save();
    context.beginPath();
    context.rect(this.divider, 0, width, height);
    context.clip();
    context.translate(left, top);
    context.scale(zoom, zoom);
    const part = {left: -left / zoom, top: -top / zoom,
      right: (width - left) / zoom, bottom: (height - top) / zoom};
    this.tiles.draw(context, part, zoom * ratio);
    context.restore();
    this.#drawDivider(context);
    this.canvas.classList.toggle('zoomed', this.isZoomed);
    this.controls.percent.value = `${Math.round(zoom * ratio * 100)} %`;
  }

  #drawDivider(context) {
    const x = this.divider, y = this.height / 2;
    context.fillStyle = '#fff';
    context.strokeStyle = 'rgb(0 0 0 / 55%)';
    context.lineWidth = 1;
    context.fillRect(x - 1, 0, 2, this.height);
    context.beginPath();
    context.arc(x, y, 15, 0, 7);
    context.fill();
    context.stroke();
    context.strokeStyle = '#222';
    context.lineWidth = 2;
    context.beginPath();
    for (const side of [-1, 1]) {
      context.moveTo(x + side * 4, y - 5);
      context.lineTo(x + side * 9, y);
      context.lineTo(x + side * 4, y + 5);
    }
    context.stroke();
  }

  #fitting() {
    return Math.min(this.width / this.size.width, this.height / this.size.height);
  }

  #resized() {
    const wasZoomed = this.before && this.width && this.isZoomed;
    [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.canvas.width = Math.round(this.width * devicePixelRatio);
    this.canvas.height = Math.round(this.height * devicePixelRatio);
    if (wasZoomed) this.moveBy(0, 0);
    else this.fit();
  }

  #key(event) {
    const step = 60;
    const actions = {
      '+': () => this.zoomBy(STEP), '=': () => this.zoomBy(STEP),
      '-': () => this.zoomBy(1 / STEP), '0': () => this.fit(),
      ArrowLeft: () => this.moveBy(step, 0), ArrowRight: () => this.moveBy(-step, 0),
      ArrowUp: () => this.moveBy(0, step), ArrowDown: () => this.moveBy(0, -step),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    actions[event.key]();
  }
}
