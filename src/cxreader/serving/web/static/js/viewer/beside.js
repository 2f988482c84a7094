/** What stands beside the image: the models' maps, an earlier image, the input as a network saw it. */

import { loadInput, loadPicture } from "./picture.js";

/** Fill the panes beside the main one. */
export class Beside {
  /** @param {import("./viewer.js").Viewer} viewer @param {(promise: Promise, decoded: boolean) => Promise} loading tells that one waits */
  constructor(viewer, loading) {
    this.viewer = viewer;
    this.loading = loading;
    this.kind = "";
  }

  /** Show a kind, or take it away where it stands there. @returns {Promise<string>} the kind that stands there now */
  async toggle(kind, what) {
    this.viewer.alone();
    this.kind = this.kind === kind ? "" : kind;
    if (this.kind) await this[this.kind](what);
    return this.kind;
  }

  /** Take away whatever stands there. */
  clear() {
    this.kind = "";
    this.viewer.alone();
  }

  /** A pane for each further model; each pane then has its own map. @param {{models: string[]}} what */
  async models({ models }) {
    const { main } = this.viewer;
    for (const model of models.slice(1)) {
      const pane = this.viewer.add("model");
      pane.model = model;
      pane.show(main.picture, "");
    }
    this.viewer.fit(main, main.view.turns);
  }

  /** Another image of the patient, its window linked. @param {{image: string, title: string, decoded: boolean}} what */
  async earlier({ image, title, decoded }) {
    const pane = this.viewer.add("earlier");
    pane.title.textContent = title;
    pane.show(await this.loading(loadPicture(image), decoded), title);
    this.viewer.change();
  }

  /** What a network was shown. @param {{image: string, model: string, name: string}} what */
  async input({ image, model, name }) {
    const pane = this.viewer.add("input");
    const picture = await this.loading(loadInput(image, model), true);
    pane.show(picture, `Input of ${name}: ${picture.width} x ${picture.height}, 8 bits`);
    this.viewer.change();
  }
}
