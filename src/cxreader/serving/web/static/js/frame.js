/** What every page has: the button of the theme. */

import { preference, prefer } from "./preferences.js";

const root = document.documentElement;
const button = document.getElementById("theme");

function show(theme) {
  root.dataset.theme = theme;
  button.textContent = theme === "dark" ? "Light theme" : "Dark theme";
}

button.hidden = false;
button.addEventListener("click", () => {
  prefer("theme", root.dataset.theme === "dark" ? "light" : "dark");
  show(preference("theme"));
});
