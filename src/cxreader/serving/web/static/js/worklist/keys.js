/** The keyboard: single keys, which can be switched off, and the arrows and Enter, which cannot. */

import { preference, prefer } from "../preferences.js";
import { run } from "./actions.js";
import { move } from "./choice.js";

const single = { n: "next", p: "pending", u: "release", h: "hand-over", a: "add", r: "refresh", "/": "search", "?": "help" };
const on = document.getElementById("keys-on");

on.checked = preference("keys") !== "off";
on.addEventListener("change", () => prefer("keys", on.checked ? "on" : "off"));

function isTyping(target) {
  return target.closest("input, select, textarea, dialog") !== null;
}

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat && key.length === 1 && !"jk".includes(key)) return;
  if (key === "Escape" && target.id === "terms") target.blur();
  if (isTyping(target) || document.querySelector("dialog[open]")) return;
  const inList = target === document.body || target.closest("#worklist table, main:focus") !== null;
  if ((key === "ArrowDown" || key === "ArrowUp") && inList) move(key === "ArrowDown" ? 1 : -1);
  else if (key === "Enter" && target === document.body) run("open");
  else if (!on.checked) return;
  else if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (single[key]) run(single[key]);
  else return;
  event.preventDefault();
});
