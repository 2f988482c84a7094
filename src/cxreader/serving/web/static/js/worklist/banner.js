/** The one place that says what is wrong with the page, and what became of it. */

const banner = document.getElementById("banner");
const said = document.getElementById("said");
const SLOW = 400;
let timer = 0;

/**
 * @param {string} text
 * @param {{ word: string, href?: string, does?: () => void }} [way] out of it
 */
export function warn(text, way) {
  if (banner.dataset.text === text) return;
  banner.dataset.text = text;
  banner.textContent = `${text} `;
  if (way) {
    const out = document.createElement(way.href ? "a" : "button");
    out.textContent = way.word;
    out.className = "button";
    if (way.href) out.href = way.href;
    else out.addEventListener("click", way.does);
    banner.append(out);
  }
  banner.hidden = false;
}

/** Nothing is wrong any more. */
export function calm() {
  banner.hidden = true;
  banner.dataset.text = "";
}

/** @param {number} status @param {string} text of what failed */
export function failed(status, text) {
  if (status === 401) signedOut();
  else warn(`That did not work: ${text}.`, { word: "Close", does: calm });
}

/** The session is over; what is on the screen stays. */
export function signedOut() {
  const to = encodeURIComponent(location.pathname + location.search);
  warn("You are signed out, since the session is over. Nothing is lost.", { word: "Sign in again", href: `/login?to=${to}` });
}

/** A list is awaited; where that takes long it is said. The list of before stays, dimmed. */
export function waiting() {
  clearTimeout(timer);
  timer = setTimeout(() => (document.getElementById("waiting").hidden = false), SLOW);
}

/** It came, or will not come. */
export function waited() {
  clearTimeout(timer);
  document.getElementById("waiting").hidden = true;
}

/** @param {string} text that a screen reader says when it is free */
export function say(text) {
  said.textContent = text;
}
