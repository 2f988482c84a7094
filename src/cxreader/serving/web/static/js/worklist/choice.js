/** The chosen line: the one that keys and buttons act on. */

const tools = [...document.querySelectorAll('.tools [data-does="open"], .tools [data-does="pending"], .tools [data-does="release"], .tools [data-does="hand-over"]')];
let key = "";

/** @returns {HTMLTableRowElement[]} the lines in their order */
export const lines = () => [...document.querySelectorAll("tr.line")];

/** @returns {HTMLTableRowElement | null} */
export const chosen = () => (key ? document.getElementById(`study-${key}`) : null);

/** @param {HTMLTableRowElement | null} line */
export function choose(line) {
  chosen()?.classList.remove("chosen");
  key = line ? line.dataset.study : "";
  mark();
}

/** Shows it again after lines were drawn anew. */
export function mark() {
  const line = chosen();
  line?.classList.add("chosen");
  for (const button of tools) button.disabled = !line;
  const pending = tools.find((one) => one.dataset.does === "pending");
  pending.firstChild.textContent = line?.dataset.state === "pending" ? "Take back " : "Put aside ";
}

/** @param {number} by so many lines down, or up where negative */
export function move(by) {
  const all = lines();
  const here = all.indexOf(chosen());
  const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(here + by, 0), all.length - 1)];
  if (!next) return;
  choose(next);
  link(next).focus();
  next.scrollIntoView({ block: "nearest" });
}

/** @param {HTMLTableRowElement} line @returns {HTMLAnchorElement} the way into its study */
export const link = (line) => line.querySelector(".patient a");

document.addEventListener("focusin", ({ target }) => {
  const line = target.closest?.("tr.line");
  if (line && line !== chosen()) choose(line);
});
document.addEventListener("click", ({ target }) => {
  const line = target.closest("tr.line");
  if (!line || target.closest("a")) return;
  choose(line);
  link(line).focus({ preventScroll: true });
});
document.addEventListener("dblclick", ({ target }) => {
  const line = target.closest("tr.line");
  if (line && !target.closest("a")) link(line).click();
});
