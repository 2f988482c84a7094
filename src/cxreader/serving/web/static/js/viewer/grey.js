/** From stored values to greys: one table of 2 ** bits bytes, by which both ways to draw look every value up. */

/**
 * @typedef {object} Window  PS3.3 C.11.2.1.2, in measured units
 * @property {number} center
 * @property {number} width
 * @property {"LINEAR"|"LINEAR_EXACT"|"SIGMOID"} [function]
 */

/** The greys of a window. @param {object} about of a picture @param {Window} window @returns {Uint8Array} */
export function windowTable(about, window) {
  const table = new Uint8Array(2 ** about.bits);
  const grey = GREYS[window.function ?? "LINEAR"] ?? linear;
  for (let value = 0; value < table.length; value++) {
    const shown = Math.round(255 * Math.min(1, Math.max(0, grey(value * about.slope + about.intercept, window))));
    table[value] = about.inverted ? 255 - shown : shown;
  }
  return table;
}

/** The same greys, black for white. @param {Uint8Array} table */
export function inverse(table) {
  return table.map((grey) => 255 - grey);
}

/** The window to begin with: the file's first, else the one that comes nearest to its table of greys. @returns {Window} */
export function firstWindow(about, table) {
  if (about.windows.length) return { ...about.windows[0] };
  const black = about.inverted ? 255 : 0;
  let low = 0;
  while (low + 1 < table.length && table[low + 1] === black) low++;
  let high = table.length - 1;
  while (high > low + 1 && table[high - 1] === 255 - black) high--;
  const [from, to] = [low, high].map((value) => value * about.slope + about.intercept);
  return { center: (from + to + 1) / 2, width: to - from + 1, function: "LINEAR" };
}

/** The narrowest width that means something. */
export function narrowest(window) {
  return (window.function ?? "LINEAR") === "LINEAR" ? 2 : 1;
}

function linear(x, { center, width }) {
  return width <= 1 ? Number(x > center - 0.5) : (x - (center - 0.5)) / (width - 1) + 0.5;
}

const GREYS = {
  LINEAR: linear,
  LINEAR_EXACT: (x, { center, width }) => (x - center) / width + 0.5,
  SIGMOID: (x, { center, width }) => 1 / (1 + Math.exp((-4 * (x - center)) / width)),
};
