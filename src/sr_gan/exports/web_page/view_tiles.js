const OVERVIEW = 2048; // pixels of its longer side
const HELD = 24e6; // pixels of decoded tiles in memory

/**
 * The result for the screen: an overview of limited size, and the tiles as compressed pictures, of
 * which those in sight are decoded. A canvas of the whole result would be too large.
 */
export class Tiles {
  /** @param {() => void} changed is called when there is more to draw */
  constructor(changed) {
    Object.assign(this, {changed, overview: document.createElement('canvas')});
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
  async add(tile) {
    const {tiles, share} = this;
    tiles.push(tile);
    const bitmap = await createImageBitmap(tile.picture);
    if (tiles === this.tiles) { // and not another result by now
      const context = this.overview.getContext('2d');
      context.imageSmoothingQuality = 'high';
      const edges = [tile.x, tile.y, tile.x + tile.width, tile.y + tile.height];
      const [left, top, right, bottom] = edges.map((edge) => Math.round(edge * share));
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
    context.imageSmoothingEnabled = zoom < 3;
    for (const tile of this.tiles) {
      const inSight = tile.x < part.right && tile.x + tile.width > part.left
        && tile.y < part.bottom && tile.y + tile.height > part.top;
      if (!inSight) continue;
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
