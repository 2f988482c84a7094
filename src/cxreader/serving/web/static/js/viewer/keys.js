/** Single keys: each belongs to what stands on the page with `data-key`, so that the page itself is the table of keys. */

import { prefer, preference } from "../preferences.js";

/** Milliseconds for which a new panel takes no key: a second press was meant for the panel before it. */
const SETTLE = 700;
let quietUntil = 0;

/** The panel is new: its keys wait a moment. */
export function settle() {
  quietUntil = performance.now() + SETTLE;
}

/** @param {(event: KeyboardEvent) => boolean} other what else a key may do, tried first on the stage @param {HTMLElement} stage */
export function listen(other, stage) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const writes = event.target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
    if (event.key === "Escape" && writes) {
      stage.focus();
      return;
    }
    if (writes) return;
    if (!event.target.matches("input") && other(event)) event.preventDefault();
    else if (preference("keys") !== "off" && press(event)) event.preventDefault();
  });
}

/** The keys of this page as (key, what it does), for the help. @returns {[string, string][]} */
export function told() {
  return [...document.querySelectorAll("[data-key]")].filter(seen).map((one) => {
    const text = one.title.replace(/ \([^)]*\)$/, "") || one.labels?.[0]?.textContent || one.textContent;
    return [one.dataset.key.toUpperCase(), text.replace(/\s+\S$/, "").trim()];
  });
}

/** The box that switches single keys off. @param {HTMLInputElement} box */
export function switchable(box) {
  box.checked = preference("keys") === "off";
  box.addEventListener("change", () => prefer("keys", box.checked ? "off" : "on"));
}

function press({ key: pressed, repeat }) {
  const key = pressed === "=" ? "+" : pressed.toLowerCase();
  const found = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find(
    (one) => !one.matches(":disabled") && seen(one),
  );
  if (!found || (repeat && !"+-".includes(key))) return false;
  if (found.closest("#panel") && performance.now() < quietUntil) return true;
  if (found.matches("input, textarea")) found.focus();
  else found.click();
  return true;
}

function seen(one) {
  return one.checkVisibility();
}
