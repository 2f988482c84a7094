/** What happens elsewhere: lines change where they stand, and a notice says that a new list is worth asking for. No line moves. */

import { ask } from "../requests.js";
import { follow } from "../stream.js";
import { calm, signedOut, warn } from "./banner.js";
import { chosen, link, mark } from "./choice.js";

const TOGETHER = 1_000;
const ANYWAY = 60_000;
const notice = document.getElementById("news");
const pause = document.querySelector('[data-does="pause"]');
let paused = false;
let due;

/** @returns {HTMLElement} the list as it was drawn last */
const list = () => document.getElementById("worklist");

/**
 * Asks what happened since the list was drawn, and shows it.
 * @param {() => boolean} [wanted] whether it is still to be shown once it is known
 */
export async function look(wanted = () => true) {
  clearTimeout(due);
  due = undefined;
  const { last, asOf, query } = list().dataset;
  const seen = [...document.querySelectorAll("tr.line")].map((line) => line.dataset.study).join(",");
  const asked = new URLSearchParams(query);
  asked.delete("sort");
  for (const [name, value] of Object.entries({ after: last, as_of: asOf, seen })) asked.set(name, value);
  const text = await (await ask("GET", `/worklist/news?${asked}`)).text();
  if (list().dataset.last === last && wanted()) show(new DOMParser().parseFromString(text, "text/html").querySelector("table"));
}

function show(table) {
  for (const line of table.querySelectorAll("tr.line")) {
    const old = document.getElementById(line.id);
    if (!old) continue;
    const focused = old.contains(document.activeElement);
    old.replaceWith(document.adoptNode(line));
    if (focused) link(line).focus({ preventScroll: true });
  }
  if (chosen()) mark();
  announce(table.dataset.words);
}

/** @param {string} words such as "7 new, 2 urgent"; empty takes the notice away */
export function announce(words) {
  const text = words ? `${words}: press R` : "";
  if (notice.textContent !== text) notice.textContent = text;
}

function soon() {
  if (!paused) due ??= setTimeout(() => look(() => !paused).catch(() => {}), TOGETHER);
}

function connection(state) {
  if (state === "live") {
    calm();
    soon();
  } else if (state === "signed-out") signedOut();
  else {
    const at = list().querySelector(".summary time").textContent;
    warn(`The connection is lost. The list is as of ${at}; nothing is lost, and it goes on by itself.`);
  }
}

/** Stops and starts the live list. */
export function togglePause() {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) {
    clearTimeout(due);
    due = undefined;
  } else soon();
}

/** Waiting times go on while the page stands. */
function tick() {
  if (paused) return;
  for (const cell of document.querySelectorAll("td.waits")) {
    const words = cell.querySelector("span:not(.muted)");
    if (words) words.textContent = minutes(Date.now() / 1000 - Number(cell.dataset.received) - skew);
  }
  soon();
}

/** As the server writes it. */
function minutes(seconds) {
  const whole = Math.max(0, Math.floor(seconds / 60));
  if (whole < 120) return `${whole} min`;
  if (whole < 48 * 60) return `${Math.floor(whole / 60)} h ${String(whole % 60).padStart(2, "0")}`;
  return `${Math.floor(whole / 1440)} d ${Math.floor((whole % 1440) / 60)} h`;
}

/** How far this machine's clock is ahead of the service's, as seen when the page came. */
const skew = Date.now() / 1000 - Number(list().dataset.asOf) - performance.now() / 1000;

follow(Number(list().dataset.last), soon, connection);
setInterval(tick, ANYWAY);
