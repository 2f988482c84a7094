/** One picture on the screen, with what is laid over it. It draws when it is told to, at most once a frame (`viewer.js`). */

import { CanvasRenderer } from "./canvas2d.js";
import { GlRenderer } from "./gl.js";
import { drawHeat, drawMarks } from "./layers.js";
import { fitted, toPicture } from "./view.js";

const LENS = 240;
const ENLARGED = 2.5;
/** Whether this browser was found to have no WebGL2 that helps: it is not asked again for the next pane. */
let without = false;

/** A picture with its layers in an element of its own. */
export class Pane {
  /**
   * @param {string} role main, model, earlier or input
   * @param {{way: string, changed: () => void}} how `way`: canvas draws without WebGL, webgl also with one in software
   */
  constructor(role, { way, changed }) {
    this.role = role;
    this.changed = changed;
    this.withoutGl = way === "canvas" || without;
    this.software = way === "webgl";
    this.host = document.createElement("figure");
    this.host.className = "pane";
    this.heatCanvas = Object.assign(document.createElement("canvas"), { className: "heat", hidden: true });
    this.marks = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.title = document.createElement("figcaption");
    this.caption = Object.assign(document.createElement("p"), { className: "caption", hidden: true });
    this.host.append(this.heatCanvas, this.marks, this.title, this.caption);
    this.heat = null;
    this.boxes = [];
    this.ruler = null;
    this.pointer = null;
    this.untouched = true;
    this.#begin();
    this.watch = new ResizeObserver(() => this.#resize());
    this.watch.observe(this.host);
  }

  /** The size of the port in device pixels. */
  get port() {
    return { width: this.canvas.width, height: this.canvas.height };
  }

  /** Show a picture, all of it. @param {import("./picture.js").Picture} picture @param {string} title */
  show(picture, title) {
    this.picture = picture;
    this.canvas.hidden = false;
    this.title.textContent = title;
    this.renderer.setPicture(picture);
    this.untouched = true;
    this.ruler = null;
    this.#resize();
  }

  /** Show nothing. */
  clear() {
    Object.assign(this, { picture: null, heat: null, boxes: [], ruler: null });
    this.canvas.hidden = this.heatCanvas.hidden = this.caption.hidden = true;
    this.marks.replaceChildren();
  }

  /** Fit the picture, keeping its turns. */
  fit(turns = this.view?.turns ?? 0) {
    this.view = fitted(this.picture, this.port, turns);
    this.untouched = true;
  }

  /** Another view. @param {import("./view.js").View} view */
  look(view) {
    this.view = view;
    this.untouched = false;
  }

  /** The point of the picture under a point of the window. @param {{clientX: number, clientY: number}} event */
  under(event) {
    const at = this.place(event);
    return toPicture(this.view, this.port, at.x, at.y);
  }

  /** A point of the window in pixels of the port. @param {{clientX: number, clientY: number}} event */
  place(event) {
    const box = this.host.getBoundingClientRect();
    return { x: (event.clientX - box.left) * this.ratio, y: (event.clientY - box.top) * this.ratio };
  }

  /** Draw everything. @param {{table: Uint8Array, opacity: number, lens: boolean}} how */
  draw({ table, opacity, lens }) {
    if (!this.picture || !this.canvas.width) return;
    this.renderer.draw(this.view, table, { x: 0, y: 0, ...this.port });
    const glass = lens ? this.#glass() : null;
    if (glass) this.renderer.draw(glass.view, table, glass.lens);
    drawHeat(this.heatCanvas, this.heat, this.picture, this.view, opacity, glass?.lens);
    drawMarks(
      this.marks,
      { boxes: this.boxes, ruler: this.ruler, lens: glass?.lens },
      this.view,
      this.port,
      this.ratio,
    );
  }

  /** Take it off the page. */
  remove() {
    this.watch.disconnect();
    this.renderer.dispose();
    this.host.remove();
  }

  #begin() {
    this.canvas?.remove();
    this.canvas = Object.assign(document.createElement("canvas"), { className: "grey" });
    this.host.prepend(this.canvas);
    this.renderer = this.withoutGl ? new CanvasRenderer(this.canvas) : this.#gl();
    // A lost context comes back empty, if at all: from then on the picture is drawn without it.
    this.canvas.addEventListener("webglcontextlost", () => this.host.isConnected && this.#without(), { once: true });
  }

  #gl() {
    try {
      return new GlRenderer(this.canvas, { software: this.software });
    } catch {
      this.withoutGl = without = true;
      this.canvas.replaceWith((this.canvas = Object.assign(document.createElement("canvas"), { className: "grey" })));
      return new CanvasRenderer(this.canvas);
    }
  }

  #without() {
    this.withoutGl = true;
    this.#begin();
    if (this.picture) this.renderer.setPicture(this.picture);
    this.#resize();
  }

  #resize() {
    this.ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.host.clientWidth, this.host.clientHeight].map((side) =>
      Math.round(side * this.ratio),
    );
    if (width !== this.canvas.width || height !== this.canvas.height) {
      for (const one of [this.canvas, this.heatCanvas]) Object.assign(one, { width, height });
    }
    if (this.picture && this.untouched) this.fit();
    this.changed();
  }

  /** Where the lens stands, and the view in it: larger, round the same point. */
  #glass() {
    const at = this.pointer ?? { x: this.canvas.width / 2, y: this.canvas.height / 2 };
    const side = Math.round(Math.min(LENS * this.ratio, this.canvas.width, this.canvas.height));
    const inside = (middle, most) => Math.round(Math.min(most - side, Math.max(0, middle - side / 2)));
    const lens = { x: inside(at.x, this.canvas.width), y: inside(at.y, this.canvas.height), width: side, height: side };
    const scale = this.view.scale * ENLARGED;
    const middle = toPicture(this.view, this.port, at.x, at.y);
    return { lens, view: { ...this.view, ...middle, scale } };
  }
}
