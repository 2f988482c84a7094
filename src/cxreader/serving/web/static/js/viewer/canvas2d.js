/** Drawing without WebGL: the same four values, the same table, in a loop over the pixels of the port. */

import { level, levelFor } from "./picture.js";
import { matrixToTexels } from "./view.js";

/** Draws a picture on a canvas, as `gl.js` does. */
export class CanvasRenderer {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.name = "Canvas 2D";
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.reduced = false;
  }

  /** Show another picture. @param {import('./picture.js').Picture} picture */
  setPicture(picture) {
    this.picture = picture;
  }

  /** Draw in a rectangle of the canvas, in device pixels. @param {import('./view.js').View} view @param {Uint8Array} table */
  draw(view, table, { x, y, width, height }) {
    const of = level(this.picture, levelFor(this.picture, view.scale));
    const image = this.#image(width, height);
    const [a, b, c, d, e, f] = matrixToTexels(view, { width, height }, this.picture, of);
    const upright = b === 0 && c === 0;
    // Along a row of the port only one of the two coordinates changes: each is known once a row or once a column.
    const across = upright
      ? taps(width, a, e, of.columns, 1, of.across)
      : taps(width, b, f, of.rows, of.columns, of.down);
    const down = upright
      ? taps(height, d, f, of.rows, of.columns, of.down)
      : taps(height, c, e, of.columns, 1, of.across);
    fill(new Uint32Array(image.data.buffer), of.values, this.#colours(table), across, down);
    this.context.putImageData(image, x, y);
  }

  /** What was drawn, from the top. @returns {Uint8Array} greys, row by row */
  read() {
    const { data } = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    return Uint8Array.from({ length: data.length / 4 }, (_, n) => data[4 * n]);
  }

  /** There is nothing to give back. */
  dispose() {}

  #colours(table) {
    if (this.table !== table) this.colours = colours(table);
    this.table = table;
    return this.colours;
  }

  #image(width, height) {
    const kept = this.image;
    if (kept?.width !== width || kept?.height !== height) this.image = this.context.createImageData(width, height);
    return this.image;
  }
}

/**
 * For each of `count` pixels of the port the two neighbours along one axis, as offsets into the values, and the second one's share.
 * An offset of -1 stands beside the picture, which covers `extent` of `size` texels.
 */
function taps(count, step, first, size, stride, extent) {
  const low = new Int32Array(count);
  const high = new Int32Array(count);
  const share = new Float32Array(count);
  for (let n = 0; n < count; n++) {
    const at = step * (n + 0.5) + first;
    const left = Math.floor(at - 0.5);
    const inside = at >= 0 && at < extent;
    low[n] = inside ? Math.max(left, 0) * stride : -1;
    high[n] = Math.min(left + 1, size - 1) * stride;
    share[n] = at - 0.5 - left;
  }
  return { low, high, share };
}

function fill(to, values, greys, across, down) {
  const black = 0xff000000;
  const count = across.low.length;
  for (let row = 0, n = 0; row < down.low.length; row++) {
    const upper = down.low[row];
    const lower = down.high[row];
    const rest = down.share[row];
    for (let column = 0; column < count; column++, n++) {
      const left = across.low[column];
      if (left < 0 || upper < 0) {
        to[n] = black;
        continue;
      }
      const right = across.high[column];
      const part = across.share[column];
      const top = values[upper + left] + (values[upper + right] - values[upper + left]) * part;
      const bottom = values[lower + left] + (values[lower + right] - values[lower + left]) * part;
      to[n] = greys[(top + (bottom - top) * rest + 0.5) | 0];
    }
  }
}

/** Opaque pixels (ABGR) of greys. */
function colours(table) {
  return Uint32Array.from(table, (grey) => (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0);
}
