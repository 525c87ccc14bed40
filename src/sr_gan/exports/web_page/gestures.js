const NEAR = 24; // CSS pixels from the divider within which it is taken

/** Turns mouse, pen, touch and wheel on a canvas into moves, zooms and the divider of a viewer. */
export class Gestures {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Viewer} viewer
   */
  constructor(canvas, viewer) {
    Object.assign(this, {canvas, viewer, pointers: new Map()});
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const name of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener('dblclick', (event) => this.#double(event));
    canvas.addEventListener('wheel', (event) => this.#wheel(event), {passive: false});
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  }

  #down(event) {
    if (event.button) return; // only the first button drags; others open menus
    const point = this.#at(event), {viewer} = this;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, point);
    if (this.pointers.size > 1) this.divides = false;
    else this.divides = !viewer.isZoomed || Math.abs(point.x - viewer.divider) < NEAR;
    if (this.divides) viewer.divideAt(point.x);
  }

  #move(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const now = this.#at(event), {viewer} = this;
    this.pointers.set(event.pointerId, now);
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const middle = {x: (now.x + other.x) / 2, y: (now.y + other.y) / 2};
      viewer.zoomBy(distance(now, other) / (distance(last, other) || 1), middle.x, middle.y);
      viewer.moveBy((now.x - last.x) / 2, (now.y - last.y) / 2);
    } else if (this.divides) viewer.divideAt(now.x);
    else viewer.moveBy(now.x - last.x, now.y - last.y);
  }

  #double(event) {
    const {x, y} = this.#at(event), {viewer} = this;
    if (viewer.isZoomed) viewer.fit();
    else viewer.zoomBy(1 / devicePixelRatio / viewer.zoom, x, y);
  }

  #wheel(event) {
    event.preventDefault();
    const {x, y} = this.#at(event);
    const lines = event.deltaMode === 1 ? 30 : 1; // some browsers count lines
    this.viewer.zoomBy(Math.exp(-event.deltaY * lines * 0.002), x, y);
  }
}

function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
