/** Windows to choose from: the file's, and others from the values of the picture itself. */

import { level, levelFor } from "./picture.js";

const SMALL = 256;

/**
 * @param {import("./picture.js").Picture} picture
 * @returns {{name: string, window: import("./grey.js").Window|null}[]} without a window: the file's own table of greys
 */
export function presets(picture) {
  const { about } = picture;
  const { values } = level(picture, levelFor(picture, SMALL / Math.max(picture.width, picture.height)));
  const sorted = Uint16Array.from(values).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const between = (low, high) => {
    const [from, to] = [at(low), at(high)].map((value) => value * about.slope + about.intercept);
    return { center: (from + to + 1) / 2, width: Math.max(2, to - from + 1), function: "LINEAR" };
  };
  const dark = about.inverted ? [0.5, 0.99] : [0.01, 0.5];
  const bright = about.inverted ? [0.01, 0.5] : [0.5, 0.99];
  return [
    { name: "As the file says", window: null },
    ...about.windows.slice(1).map((window, n) => ({ name: `Window ${n + 2} of the file`, window })),
    { name: "Middle 98 % of values", window: between(0.01, 0.99) },
    { name: "Dark half: lungs", window: between(...dark) },
    { name: "Bright half: mediastinum, bones", window: between(...bright) },
    { name: "All values", window: between(0, 1) },
  ];
}

/**
 * A window of one picture for another, whose values may be of another kind: moved and widened as it was against the first window.
 *
 * @param {import("./grey.js").Window} window of the one whose first window is `from` @param {import("./grey.js").Window} to
 */
export function linkedWindow(window, from, to) {
  const share = to.width / from.width;
  return { ...to, center: to.center + (window.center - from.center) * share, width: Math.max(1, window.width * share) };
}
