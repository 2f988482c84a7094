/** Dragging, the wheel, and the arrow keys, which do what dragging does. */

import { panned, zoomed } from "./view.js";

const STEP = 12;
const NEAR = 1.0015;
/** Pixels of a drag over which a window becomes once as wide again. */
const WINDOW_DRAG = 500;

/** Pointers and arrow keys on the stage. */
export class Tools {
  /** @param {import("./viewer.js").Viewer} viewer @param {HTMLElement} stage @param {(pane: object|null, event: object|null) => void} over */
  constructor(viewer, stage, over) {
    this.viewer = viewer;
    this.stage = stage;
    this.over = over;
    this.tool = "window";
    this.drag = null;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => (this.drag = null));
    stage.addEventListener("pointerleave", () => over(null, null));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** What an arrow key does. @param {string} key @param {boolean} shift @returns {boolean} whether it did something */
  arrow(key, shift) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    const pane = this.viewer.active;
    if (!way || !pane.picture) return false;
    const [dx, dy] = way.map((one) => one * STEP * pane.ratio);
    if (shift) this.#pan(pane, -dx, -dy);
    else if (this.tool === "ruler") this.#end(pane, dx, dy);
    else if (this.viewer.state.lens) this.#lens(pane, dx, dy);
    else
      this.#act(pane, { dx, dy, window: this.viewer.window, at: { x: pane.port.width / 2, y: pane.port.height / 2 } });
    return true;
  }

  /** Set the ruler's end; from then on the arrow keys move the other one. */
  swapEnds() {
    const pane = this.viewer.active;
    if (this.tool !== "ruler" || !pane.ruler) return false;
    this.measure(pane, { from: pane.ruler.to, to: pane.ruler.from });
    return true;
  }

  /** Lay a ruler, with its length in words: mm where the file tells how large a pixel is at the detector. */
  measure(pane, { from, to }, at) {
    const { spacing } = pane.picture.about;
    const pixels = Math.hypot(to.x - from.x, to.y - from.y);
    const mm = spacing && Math.hypot((to.x - from.x) * spacing[0], (to.y - from.y) * spacing[1]);
    const label = spacing ? `${mm.toFixed(1)} mm at the detector` : `${pixels.toFixed(0)} px`;
    pane.ruler = { from, to, label };
    this.viewer.change({}, at);
    this.stage.dispatchEvent(new CustomEvent("measured", { detail: label }));
  }

  #pane(event) {
    return this.viewer.panes.find((one) => one.host.contains(event.target)) ?? this.viewer.active;
  }

  #down(event) {
    if (event.button > 2 || event.target.closest("button, select, input")) return;
    const pane = this.#pane(event);
    if (!pane.picture) return;
    this.viewer.active = pane;
    this.stage.setPointerCapture(event.pointerId);
    const tool = event.button === 1 ? "pan" : event.button === 2 ? "zoom" : this.tool;
    this.drag = { pane, tool, last: event, window: this.viewer.window, at: pane.place(event) };
    if (tool === "ruler") this.measure(pane, { from: pane.under(event), to: pane.under(event) }, event.timeStamp);
  }

  #move(event) {
    const pane = this.drag?.pane ?? this.#pane(event);
    if (!pane.picture) return;
    pane.pointer = pane.place(event);
    if (this.viewer.state.lens) {
      this.viewer.active = pane;
      this.viewer.change({}, event.timeStamp);
    }
    this.over(pane, event);
    if (!this.drag) return;
    const [dx, dy] = [event.clientX - this.drag.last.clientX, event.clientY - this.drag.last.clientY].map(
      (d) => d * pane.ratio,
    );
    this.drag.last = event;
    if (this.drag.tool === "ruler")
      this.measure(pane, { from: pane.ruler.from, to: pane.under(event) }, event.timeStamp);
    else this.#act(pane, { ...this.drag, dx, dy }, event.timeStamp);
  }

  #wheel(event) {
    event.preventDefault();
    const pane = this.#pane(event);
    if (!pane.picture) return;
    const lines = event.deltaMode === 1 ? 33 : 1;
    const at = pane.place(event);
    this.viewer.look(pane, zoomed(pane.view, pane.port, NEAR ** (-event.deltaY * lines), at.x, at.y), event.timeStamp);
  }

  #act(pane, { tool = this.tool, dx, dy, window, at }, when) {
    if (tool === "window") this.#window(dx / pane.ratio, dy / pane.ratio, window, when);
    else if (tool === "pan") this.#pan(pane, dx, dy, when);
    else this.viewer.look(pane, zoomed(pane.view, pane.port, 1.005 ** (-dy / pane.ratio), at.x, at.y), when);
  }

  /** Sideways for the width; up is brighter. */
  #window(dx, dy, began, when) {
    const now = this.viewer.window;
    const step = Math.max(began.width, 16) / WINDOW_DRAG;
    const bright = this.viewer.main.picture.about.inverted !== this.viewer.state.inverted ? -1 : 1;
    const window = { ...now, center: now.center + bright * dy * step, width: Math.max(1, now.width + dx * step) };
    this.viewer.choose(window, when);
  }

  #pan(pane, dx, dy, when) {
    this.viewer.look(pane, panned(pane.view, pane.picture, dx, dy), when);
  }

  #lens(pane, dx, dy) {
    const { width, height } = pane.port;
    const from = pane.pointer ?? { x: width / 2, y: height / 2 };
    pane.pointer = { x: Math.min(width, Math.max(0, from.x + dx)), y: Math.min(height, Math.max(0, from.y + dy)) };
    this.viewer.change();
  }

  #end(pane, dx, dy) {
    const { x, y } = pane.view;
    const ruler = pane.ruler ?? { from: { x, y }, to: { x, y } };
    const moved = panned({ ...pane.view, ...ruler.to }, pane.picture, -dx / 2, -dy / 2);
    this.measure(pane, { from: ruler.from, to: { x: moved.x, y: moved.y } });
  }
}
