/** What is laid over a picture: a heat map on a canvas, boxes, ruler and lens as SVG, all in the geometry of `view.js`. */

import { matrixToPort } from "./view.js";

const SVG = "http://www.w3.org/2000/svg";
/** Dark red to yellow: readable over grey, and for colour-blind eyes. */
const RAMP = [
  [0, 0, 0],
  [120, 20, 60],
  [215, 60, 30],
  [250, 160, 30],
  [255, 240, 120],
];

/**
 * A map as a small picture in colour, as strong as it is warm: what stands above its own least value, by its greatest. A flat map
 * stays cold; stretching each map from its least to its greatest value would make it look hot.
 *
 * @param {number[][]} values at least 0
 * @param {boolean} asItIs the values are in [0, 1] and warm as they are: a region head's, which finds nothing where all are low
 * @returns {HTMLCanvasElement}
 */
export function heatPicture(values, asItIs) {
  const [rows, columns] = [values.length, values[0].length];
  const flat = values.flat();
  const low = asItIs ? 0 : Math.min(...flat);
  const high = asItIs ? 1 : Math.max(...flat);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  flat.forEach((value, n) => {
    const warm = high > 0 ? Math.min(1, Math.max(0, (value - low) / high)) : 0;
    const at = warm * (RAMP.length - 1);
    const step = Math.min(RAMP.length - 2, Math.floor(at));
    const colour = RAMP[step].map((from, c) => from + (RAMP[step + 1][c] - from) * (at - step));
    image.data.set([...colour, 255 * warm], 4 * n);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/**
 * Draw a map over a picture.
 *
 * @param {HTMLCanvasElement} canvas of the port's size
 * @param {{picture: HTMLCanvasElement, frame: number[]}|null} heat `frame`: left, top, width, height in square pixels; what is beside
 *   the picture, where the network saw padding, is told in words and not drawn
 * @param {{width: number, height: number}} picture in square pixels
 */
export function drawHeat(canvas, heat, picture, view, opacity, hole) {
  const context = canvas.getContext("2d");
  context.reset();
  canvas.hidden = !heat;
  if (!heat) return;
  context.setTransform(...matrixToPort(view, canvas));
  context.globalAlpha = opacity;
  context.beginPath();
  context.rect(0, 0, picture.width, picture.height);
  context.clip();
  context.imageSmoothingQuality = "high";
  context.drawImage(heat.picture, ...heat.frame);
  context.setTransform(1, 0, 0, 1, 0, 0);
  if (hole) context.clearRect(hole.x, hole.y, hole.width, hole.height);
}

/**
 * @param {SVGSVGElement} svg over the port
 * @param {object} what `boxes` with `label` in square pixels, `ruler` {from, to} or null, `lens` in pixels of the port or null
 * @param {number} ratio pixels of the port a CSS pixel
 */
export function drawMarks(svg, { boxes, ruler, lens }, view, port, ratio) {
  const made = [];
  const matrix = matrixToPort(view, port).map((value) => value / ratio);
  const placed = (x, y) => [matrix[0] * x + matrix[2] * y + matrix[4], matrix[1] * x + matrix[3] * y + matrix[5]];
  for (const box of boxes) {
    const [x1, y1] = placed(box.x, box.y);
    const [x2, y2] = placed(box.x + box.width, box.y + box.height);
    const [x, y] = [Math.min(x1, x2), Math.min(y1, y2)];
    made.push(element("rect", { class: "box", x, y, width: Math.abs(x2 - x1), height: Math.abs(y2 - y1) }));
    made.push(element("text", { class: "box", x: x + 4, y: y > 20 ? y - 6 : y + 16 }, box.label));
  }
  if (ruler) {
    const [x1, y1] = placed(ruler.from.x, ruler.from.y);
    const [x2, y2] = placed(ruler.to.x, ruler.to.y);
    made.push(element("line", { class: "ruler", x1, y1, x2, y2 }));
    for (const [cx, cy] of [
      [x1, y1],
      [x2, y2],
    ])
      made.push(element("circle", { class: "ruler", cx, cy, r: 4 }));
    made.push(element("text", { class: "ruler", x: x2 + 8, y: y2 - 8 }, ruler.label));
  }
  if (lens) {
    const [x, y, width, height] = [lens.x, lens.y, lens.width, lens.height].map((value) => value / ratio);
    made.push(element("rect", { class: "lens", x, y, width, height }));
  }
  svg.replaceChildren(...made);
}

function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
