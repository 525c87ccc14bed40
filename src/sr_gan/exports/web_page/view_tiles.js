const OVERVIEW = 2048; // pixels of its longer side
const HELD = 24e6; // pixels of decoded tiles in memory

/**
 * The result for the screen: an overview of limited size, and the tiles as compressed pictures, of
 * which those in sight are decoded. A canvas of the whole result would be too large.
 */
export class Tiles {
  /** @param {() => void} changed is called when there is more to draw */
  constructor(changed) {
    const overview = document.createElement('canvas');
    Object.assign(this, {changed, overview, painted: Promise.resolve()});
    this.reset({width: 1, height: 1});
  }

  /** @param {{width: number, height: number}} size of the next result */
  reset(size) {
    this.decoded?.forEach((bitmap) => bitmap.close());
    Object.assign(this, {size, tiles: [], decoded: new Map(), asked: new Set(), held: 0});
    this.share = Math.min(1, OVERVIEW / Math.max(size.width, size.height));
    this.overview.width = Math.max(1, Math.round(size.width * this.share));
    this.overview.height = Math.max(1, Math.round(size.height * this.share));
  }

  /** @param {{x: number, y: number, width: number, height: number, picture: Blob}} tile */
  add(tile) {
    const {tiles} = this;
    tiles.push(tile);
    // A large result that is shown again has hundreds of tiles, of which one at a time is decoded.
    this.painted = this.painted.then(() => this.#paint(tile, tiles));
  }

  /** Draws a tile on the overview, unless another result is shown by now. */
  async #paint(tile, tiles) {
    if (tiles !== this.tiles) return;
    const bitmap = await createImageBitmap(tile.picture);
    if (tiles === this.tiles) {
      const context = this.overview.getContext('2d');
      context.imageSmoothingQuality = 'high';
      const edges = [tile.x, tile.y, tile.x + tile.width, tile.y + tile.height];
      const [left, top, right, bottom] = edges.map((edge) => Math.round(edge * this.share));
      context.drawImage(bitmap, left, top, right - left, bottom - top);
      this.changed();
    }
    bitmap.close();
  }

  /**
   * Draws the result in its own coordinates.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {{left: number, top: number, right: number, bottom: number}} part what is in sight
   * @param {number} zoom screen pixels for a pixel of the result
   */
  draw(context, part, zoom) {
    context.drawImage(this.overview, 0, 0, this.size.width, this.size.height);
    if (zoom <= this.share) return;
    const inSight = this.tiles.filter(({x, y, width, height}) =>
      x < part.right && x + width > part.left && y < part.bottom && y + height > part.top);
    // If they are more than may be held, they would push each other out forever.
    if (inSight.reduce((sum, {width, height}) => sum + width * height, 0) > HELD) return;
    context.imageSmoothingEnabled = zoom < 3;
    for (const tile of inSight) {
      const bitmap = this.decoded.get(tile);
      if (bitmap) context.drawImage(bitmap, tile.x, tile.y);
      else this.#decode(tile);
    }
    context.imageSmoothingEnabled = true;
  }

  async #decode(tile) {
    if (this.asked.has(tile)) return;
    const {asked, decoded} = this;
    asked.add(tile);
    const bitmap = await createImageBitmap(tile.picture);
    asked.delete(tile);
    if (decoded !== this.decoded) return bitmap.close();
    decoded.set(tile, bitmap);
    this.held += tile.width * tile.height;
    for (const [old, oldBitmap] of decoded) { // the oldest come first
      if (this.held <= HELD || old === tile) break;
      oldBitmap.close();
      decoded.delete(old);
      this.held -= old.width * old.height;
    }
    this.changed();
  }
}
