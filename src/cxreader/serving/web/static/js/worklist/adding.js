/** Adding images: files that are chosen or dropped, one request a file, one after the other; what became of each, in words. */

import { say, signedOut } from "./banner.js";

const ATTEMPTS = 5;
const PATIENCE = 5;
const dialog = document.getElementById("add");
const status = document.getElementById("adding");
const rows = document.querySelector("#added tbody");
const waiting = [];
const counts = { received: 0, again: 0, refused: 0 };
let busy = false;

/** @param {FileList} files that are sent after those that wait */
function add(files) {
  for (const file of files) {
    const row = rows.insertRow();
    row.insertCell().textContent = file.name;
    row.insertCell().textContent = "waits";
    waiting.push({ file, cell: row.cells[1] });
  }
  document.getElementById("added").hidden = !rows.rows.length;
  if (!busy && waiting.length) sendAll();
}

async function sendAll() {
  busy = true;
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const left = waiting.length;
    status.textContent = left ? `Sending; ${left} more ${left === 1 ? "file waits" : "files wait"}.` : "Sending.";
    await send(next.file, next.cell);
  }
  busy = false;
  const { received, again, refused } = counts;
  status.textContent = `Done: ${received} received, ${again} already there, ${refused} refused.`;
  say(status.textContent);
}

/** Sends one file, again where the service has no room for it at the moment. */
async function send(file, cell) {
  for (let attempt = 1; ; attempt++) {
    tell(cell, "is sent", false);
    const answer = await posted(file);
    const told = await answer?.json().catch(() => null);
    const seconds = Number(answer?.headers.get("retry-after")) || PATIENCE;
    if (answer?.status === 401) signedOut();
    if (told?.files) return outcome(cell, told.files);
    if (answer?.status !== 429 || attempt === ATTEMPTS) {
      counts.refused++;
      return tell(cell, `refused: ${why(answer, told)}`, true);
    }
    tell(cell, `waits ${seconds} s: ${told?.detail ?? "too much at once"}`, false);
    await new Promise((done) => setTimeout(done, 1_000 * seconds));
  }
}

/** @returns {Promise<Response | null>} null where nothing answered, or the file cannot be read */
async function posted(file) {
  if (file.size > dialog.dataset.mib * 2 ** 20) return new Response(null, { status: 413 }); // nobody waits for this answer
  const body = new FormData();
  body.append("files", file);
  const headers = { "X-CSRF-Token": document.body.dataset.csrf };
  return fetch("/api/v1/images", { method: "POST", headers, body }).catch(() => null);
}

/** Why nothing of a file was kept. */
function why(answer, told) {
  if (!answer) return "it cannot be read, or the service cannot be reached";
  if (answer.status === 401) return "you are signed out; sign in, and add it again";
  if (answer.status === 413) return `too much at once; at most ${dialog.dataset.limits}`;
  return [told?.detail ?? `the service answered ${answer.status}`, told?.mend].filter(Boolean).join("; ");
}

/** @param {{ number: number, outcome: string, reason: string | null }[]} images of one file: several of an archive */
function outcome(cell, images) {
  const of = (...kinds) => images.filter((one) => kinds.includes(one.outcome));
  const [received, again, refused] = [of("new", "conflict"), of("again"), of("refused")];
  counts.received += received.length;
  counts.again += again.length;
  counts.refused += refused.length;
  const each = images.length > 1;
  const words = [
    received.length && (each ? `${received.length} received` : "received"),
    again.length && (each ? `${again.length} already there` : "already there"),
    of("conflict").length && "other bytes are here under the same UID, both are kept",
    ...refused.map((one) => (each ? `image ${one.number} refused: ${one.reason}` : `refused: ${one.reason}`)),
  ];
  tell(cell, words.filter(Boolean).join("; ") || "holds no image", refused.length > 0);
}

function tell(cell, text, wrong) {
  cell.textContent = text;
  cell.className = wrong ? "refused" : "";
}

/** @param {DragEvent} event @returns {boolean} whether files are dragged here, and may be added now */
function dragged(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}

if (dialog) {
  addEventListener("beforeunload", (event) => busy && event.preventDefault());
  document.getElementById("files").addEventListener("change", ({ target }) => {
    add(target.files);
    target.value = "";
  });
  document.addEventListener("dragover", (event) => {
    if (!dragged(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    if (!dragged(event)) return;
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (!document.querySelector("dialog[open]")) dialog.showModal();
    add(event.dataTransfer.files);
  });
}
