/** Where a picture lies in a port: pure functions, so that both ways to draw, maps, boxes and ruler share one geometry. */

/**
 * @typedef {object} View
 * @property {number} x, y  the point of the picture, in square pixels from its upper left corner, at the middle of the port
 * @property {number} scale  pixels of the port a square pixel of the picture
 * @property {number} turns  quarter turns clockwise, 0 to 3
 *
 * @typedef {{width: number, height: number}} Size  of a picture in square pixels, or of a port in device pixels
 */

const SMALLEST = 0.02;
const LARGEST = 64;

/** The view that shows all of a picture, never larger than its pixels are. @param {Size} picture @param {Size} port */
export function fitted(picture, port, turns = 0) {
  const [w, h] = turns % 2 ? [picture.height, picture.width] : [picture.width, picture.height];
  const scale = Math.min(port.width / w, port.height / h);
  return { x: picture.width / 2, y: picture.height / 2, scale, turns };
}

/** The point of the picture under a point of the port. @param {View} view */
export function toPicture(view, port, px, py) {
  const dx = (px - port.width / 2) / view.scale;
  const dy = (py - port.height / 2) / view.scale;
  const [c, s] = turned(view.turns);
  return { x: view.x + c * dx + s * dy, y: view.y - s * dx + c * dy };
}

/** The point of the port over a point of the picture. @param {View} view */
export function toPort(view, port, x, y) {
  const dx = (x - view.x) * view.scale;
  const dy = (y - view.y) * view.scale;
  const [c, s] = turned(view.turns);
  return { x: port.width / 2 + c * dx - s * dy, y: port.height / 2 + s * dx + c * dy };
}

/** The matrix (a, b, c, d, e, f) of CSS and SVG from points of the picture to points of the port. @param {View} view */
export function matrixToPort(view, port) {
  const [c, s] = turned(view.turns);
  const k = view.scale;
  const origin = toPort(view, port, 0, 0);
  return [c * k, s * k, -s * k, c * k, origin.x, origin.y];
}

/** The matrix (a, b, c, d, e, f) from points of the port to texels of a level of a picture. */
export function matrixToTexels(view, port, picture, level) {
  const [c, s] = turned(view.turns);
  const sx = level.across / picture.width;
  const sy = level.down / picture.height;
  const k = 1 / view.scale;
  const origin = toPicture(view, port, 0, 0);
  return [c * k * sx, -s * k * sy, s * k * sx, c * k * sy, origin.x * sx, origin.y * sy];
}

/** Zoomed by a factor; the point of the picture under (px, py) of the port stays there. @param {View} view */
export function zoomed(view, port, factor, px = port.width / 2, py = port.height / 2) {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  const held = toPicture(view, port, px, py);
  const moved = toPicture({ ...view, scale }, port, px, py);
  return { ...view, scale, x: view.x + held.x - moved.x, y: view.y + held.y - moved.y };
}

/** Moved by pixels of the port; the middle of the port stays on the picture. @param {View} view @param {Size} picture */
export function panned(view, picture, dx, dy) {
  const [c, s] = turned(view.turns);
  const x = view.x - (c * dx + s * dy) / view.scale;
  const y = view.y - (c * dy - s * dx) / view.scale;
  return { ...view, x: within(x, picture.width), y: within(y, picture.height) };
}

/** One pixel of the picture on one of the port, their edges together, so that nothing is interpolated. @param {View} view */
export function actual(view, port) {
  const [w, h] = view.turns % 2 ? [port.height, port.width] : [port.width, port.height];
  const x = Math.round(view.x - w / 2) + w / 2;
  const y = Math.round(view.y - h / 2) + h / 2;
  return { ...view, scale: 1, x, y };
}

/** A quarter turn further clockwise. @param {View} view */
export function quarter(view) {
  return { ...view, turns: (view.turns + 1) % 4 };
}

function turned(turns) {
  return [
    [1, 0],
    [0, 1],
    [-1, 0],
    [0, -1],
  ][turns];
}

function within(value, most) {
  return Math.min(most, Math.max(0, value));
}
