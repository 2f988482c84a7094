/** What can be done with the chosen study, and with the list. */

import { handOver } from "../handing.js";
import { ask } from "../requests.js";
import { calm, failed, say } from "./banner.js";
import { chosen, link } from "./choice.js";
import { announce, look, togglePause } from "./live.js";

const dialogs = { help: document.getElementById("keys"), add: document.getElementById("add") };
const list = () => document.getElementById("worklist");
const api = (line, what) => `/api/v1/studies/${line.dataset.study}/${what}`;

/** Each gets the chosen line; those of `alone` need none. */
const actions = {
  open: (line) => link(line).click(),
  pending: async (line) => {
    const back = line.dataset.state === "pending";
    await ask("PUT", api(line, "state"), { state: back ? "open" : "pending" });
    await look();
    say(back ? "Taken back." : "Put aside.");
  },
  release: async (line) => {
    await ask("DELETE", api(line, "lock"));
    if (["pending", "handed"].includes(line.dataset.state)) await ask("PUT", api(line, "state"), { state: "open" });
    await look();
    say("Released.");
  },
  "hand-over": async (line) => {
    const reader = await handOver(line.dataset.study);
    if (!reader) return;
    await look();
    say(`Handed over to ${reader}.`);
  },
};
const alone = {
  next: async () => {
    const { study } = await (await ask("POST", `/api/v1/worklist/next?${list().dataset.query}`)).json();
    if (study) location.assign(`/studies/${study}`);
    else say("Nothing is left for you: what is open, others have in hand.");
  },
  refresh: async () => {
    const query = list().dataset.query;
    const url = query ? `/?${query}` : "/";
    history.replaceState(null, "", url);
    calm();
    const old = list();
    await htmx.ajax("GET", url, { target: "#worklist", select: "#worklist", swap: "outerHTML" }).catch(() => {});
    if (list() === old) return; // page.js said why
    announce("");
    say("The list is new.");
    const line = chosen();
    if (line) link(line).focus();
  },
  pause: togglePause,
  add: () => dialogs.add?.showModal(),
  help: () => dialogs.help.showModal(),
  search: () => document.getElementById("terms").select(),
};

/** @param {string} name of an action; nothing happens where it needs a line and none is chosen */
export async function run(name) {
  const line = chosen();
  try {
    if (alone[name]) await alone[name]();
    else if (line) await actions[name](line);
  } catch (error) {
    failed(error.status ?? 0, error.message);
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-does]");
  if (button) run(button.dataset.does);
});
