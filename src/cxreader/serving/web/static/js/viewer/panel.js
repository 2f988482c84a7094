/** The panel: findings by any of their names, seconds, and asking again while an answer is awaited. */

const POLL = 3000;
let seconds = 0;
let since = document.hidden ? null : performance.now();

/** @param {() => void} changed called when another panel stands there */
export function watchPanel(changed) {
  document.addEventListener("visibilitychange", () => {
    seconds = elapsed();
    since = document.hidden ? null : performance.now();
  });
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.path.endsWith("/verdict")) event.detail.parameters.set("seconds", elapsed().toFixed(1));
  });
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id !== "panel") return;
    document.getElementById("panel").querySelector("h2")?.setAttribute("tabindex", "-1");
    document.getElementById("panel").querySelector("h2")?.focus();
    changed();
  });
  for (const name of ["htmx:responseError", "htmx:sendError"]) document.body.addEventListener(name, failed);
  document.addEventListener("keydown", addFinding);
  setInterval(poll, POLL);
}

/** Seconds for which this study was looked at; while another window hides it they do not count. */
function elapsed() {
  return seconds + (since === null ? 0 : (performance.now() - since) / 1000);
}

function poll() {
  const panel = document.getElementById("panel");
  const form = panel.querySelector("form.verdict");
  const begun =
    form && (form.contains(document.activeElement) || form.querySelector(":checked") || form.elements.comment?.value);
  if (panel.dataset.waiting === "true" && !document.hidden && !begun) window.htmx.trigger(panel, "awaited");
}

/** Enter in the field of findings ticks the one that is meant, or adds what has no box. */
function addFinding(event) {
  if (event.target.id !== "finding" || event.key !== "Enter") return;
  event.preventDefault();
  const text = event.target.value.trim();
  if (!text) return;
  const ticks = event.target.closest("fieldset").querySelector(".ticks");
  const known = [...ticks.children].find((one) => one.dataset.spellings?.split("|").includes(text.toLowerCase()));
  (known ?? added(ticks, text)).querySelector("input").checked = true;
  event.target.value = "";
}

function added(ticks, text) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "finding", value: text });
  label.append(box, ` ${text}`);
  ticks.append(label);
  return label;
}

function failed(event) {
  const place = document.getElementById("panel-error");
  const status = event.detail.xhr?.status;
  place.textContent =
    status === 401
      ? "You are signed out: nothing was kept. Sign in again."
      : "It was not kept: the service did not answer as expected. Try again.";
  place.hidden = false;
}
