/** The state of the viewer, and its panes. Whatever changes asks for a frame; a frame draws the latest state, once. */

import { firstWindow, inverse, narrowest, windowTable } from "./grey.js";
import { Pane } from "./pane.js";
import { linkedWindow } from "./presets.js";

/** @typedef {{window: import("./grey.js").Window|null, inverted: boolean, opacity: number, lens: boolean}} State */

export class Viewer extends EventTarget {
  /** @param {HTMLElement} host @param {string} way webgl or canvas where one is asked for */
  constructor(host, way) {
    super();
    this.host = host;
    this.way = way;
    this.panes = [];
    this.state = { window: null, inverted: false, opacity: 0.5, lens: false };
    this.frame = 0;
    this.asked = 0;
    this.main = this.add("main");
    this.active = this.main;
  }

  /** Another pane. @param {"main"|"model"|"earlier"|"input"} role @returns {Pane} */
  add(role) {
    const pane = new Pane(role, { way: this.way, changed: () => this.change() });
    this.panes.push(pane);
    this.host.append(pane.host);
    this.host.dataset.count = this.panes.length;
    return pane;
  }

  /** Only the main pane stays. */
  alone() {
    for (const pane of this.panes.splice(1)) pane.remove();
    this.host.dataset.count = 1;
    this.active = this.main;
    this.change();
  }

  /** Change the state and draw it in the next frame. @param {Partial<State>} state @param {number} [at] when it was asked for */
  change(state = {}, at = performance.now()) {
    Object.assign(this.state, state);
    this.asked ||= at;
    this.frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Another view of a pane; panes of the same image follow. @param {Pane} pane @param {import("./view.js").View} view */
  look(pane, view, at) {
    for (const one of this.#same(pane)) one.look({ ...view });
    this.change({}, at);
  }

  /** Fit a pane and those of the same image. @param {Pane} pane */
  fit(pane, turns) {
    for (const one of this.#same(pane)) one.fit(turns);
    this.change();
  }

  /** The window as it is: the chosen one, else that which comes nearest to the file's table. */
  get window() {
    return this.state.window ?? this.first(this.main);
  }

  /** The window that a pane's picture begins with. @param {Pane} pane */
  first(pane) {
    return firstWindow(pane.picture.about, pane.picture.table);
  }

  /** Choose a window, or the file's own table by null. @param {import("./grey.js").Window|null} window */
  choose(window, at) {
    const kept = window && { ...window, width: Math.max(narrowest(window), window.width) };
    this.change({ window: kept }, at);
  }

  #same(pane) {
    return this.panes.filter((one) => one === pane || (one.picture === pane.picture && one.picture));
  }

  #draw() {
    const asked = this.asked;
    this.frame = 0;
    this.asked = 0;
    for (const pane of this.panes) {
      if (!pane.picture) continue;
      const lens = this.state.lens && pane === this.active;
      pane.draw({ table: this.#table(pane), opacity: this.state.opacity, lens });
    }
    this.dispatchEvent(new CustomEvent("drawn", { detail: { asked, at: performance.now() } }));
  }

  /** The greys of a pane, made anew only where something changed. */
  #table(pane) {
    const { window, inverted } = this.state;
    const own = pane === this.main || pane.picture === this.main.picture;
    const key = JSON.stringify([window, inverted]);
    if (pane.tableKey === key && pane.tableOf === pane.picture) return pane.table;
    let table = pane.picture.table;
    if (window && pane.role !== "input") {
      const fitting = own ? window : linkedWindow(window, this.first(this.main), this.first(pane));
      table = windowTable(pane.picture.about, fitting);
    }
    Object.assign(pane, { tableKey: key, tableOf: pane.picture, table: inverted ? inverse(table) : table });
    return pane.table;
  }
}
