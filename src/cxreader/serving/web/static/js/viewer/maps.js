/** The maps and boxes of the answers that the panel shows. Before an answer is shown the page knows nothing of it. */

import { heatPicture } from "./layers.js";
import { got } from "./picture.js";

const KINDS = { heat: "Heat map", region: "Region head" };

/**
 * @typedef {object} Answer
 * @property {string} image, result keys
 * @property {string[]} models
 * @property {{model: string, name: string, picture: HTMLCanvasElement, frame: number[], where: string}[]} maps
 * @property {{model: string, label: string, x: number, y: number, width: number, height: number}[]} boxes
 * @property {string} noMap, noBoxes why there are none
 * @property {HTMLElement} section of the panel
 */

const kept = new Map();

/** The answer to an image that the panel shows, with its maps; null while none is shown. @returns {Promise<Answer|null>} */
export async function answerOf(image) {
  const section = document.querySelector(`#panel section[data-image="${CSS.escape(image)}"]`);
  if (!section) return null;
  const { result, models, noMap } = section.dataset;
  if (!kept.has(result)) kept.set(result, await mapsOf(result, noMap));
  return { image, result, models: models.split(" "), section, ...kept.get(result) };
}

async function mapsOf(result, noMap) {
  const told = await (await got(`/api/v1/results/${result}/maps`)).json();
  const maps = told.maps.map((one) => ({
    model: one.model,
    name: `${KINDS[one.kind]}${one.finding && one.finding !== "any" ? `: ${one.finding.replace("_", " ")}, if it is there` : ""}`,
    kind: one.kind,
    picture: heatPicture(one.values, one.kind === "region"),
    frame: one.frame,
    where: one.strongest,
  }));
  const boxes = told.regions.map((one) => ({ ...one, label: `${one.place}, ${one.peak.toFixed(2)} (${one.source})` }));
  return { maps, boxes, noMap: maps.length ? "" : told.why || noMap, noBoxes: boxes.length ? "" : told.about_regions };
}
