/** What the page tells in words and figures beside the picture. */

const by = (id) => document.getElementById(id);

/** How much of the picture is drawn, and by what. @param {import("./pane.js").Pane} pane */
export function tellDepth({ picture, renderer: { reduced, name } }) {
  by("depth").textContent = reduced ? "reduced" : `full ${picture.about.bits}-bit`;
  by("depth").className = reduced ? "badge warn" : "badge";
  by("depth").title = reduced
    ? "Larger than this machine's textures: drawn with fewer pixels than it has"
    : "Every value that the file holds";
  by("way").textContent = `${picture.about.columns} x ${picture.about.rows}, ${name}`;
}

/** No picture is there. */
export function tellNothing() {
  for (const name of ["depth", "way", "zoom", "value", "length"]) by(name).textContent = "";
}

/** Zoom and window. @param {import("./viewer.js").Viewer} viewer @param {object[]} choices presets */
export function tellState(viewer, choices) {
  if (!viewer.main.picture) return;
  const { main, state, window } = viewer;
  by("zoom").textContent = `${Math.round(main.view.scale * 100)} %`;
  for (const name of ["center", "width"]) {
    if (document.activeElement !== by(name)) by(name).value = Number(window[name].toFixed(window.width < 100 ? 1 : 0));
  }
  const chosen = choices.findIndex((one) =>
    state.window ? one.window && same(one.window, state.window) : !one.window,
  );
  by("preset").selectedIndex = chosen;
}

const same = (one, other) => one.center === other.center && one.width === other.width;

/** Whose the study is now. */
export function tellLock({ yours, reader, since, handed }) {
  by("lock").hidden = by("take-over").hidden = yours;
  by("lock").textContent = handed
    ? `Handed over to ${reader}; looking at it takes nothing away`
    : `Being read by ${reader} since ${new Date(since).toTimeString().slice(0, 5)}`;
}

/** What went wrong. @param {string} words */
export function tellError(words) {
  Object.assign(by("panel-error"), { textContent: words, hidden: false });
}

/** The value under the pointer; nothing beside the picture. */
export function tellValue(pane, event) {
  const at = event && pane.under(event);
  const { picture } = pane ?? {};
  const inside = at && at.x >= 0 && at.y >= 0 && at.x < picture.width && at.y < picture.height;
  if (!inside) {
    by("value").textContent = "";
    return;
  }
  const { values, columns, rows } = picture.levels[0];
  const [x, y] = [Math.floor((at.x * columns) / picture.width), Math.floor((at.y * rows) / picture.height)];
  by("value").textContent = `value ${values[y * columns + x]} at ${x}, ${y}`;
}
