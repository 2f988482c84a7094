/** The page of a study: the viewer, its tools, and what the panel's answer allows. */

import { handOver } from "../handing.js";
import { hold } from "../lock.js";
import { ask } from "../requests.js";
import { Beside } from "./beside.js";
import { listen, settle, switchable, told } from "./keys.js";
import { answerOf } from "./maps.js";
import { watchPanel } from "./panel.js";
import { loadPicture } from "./picture.js";
import { presets } from "./presets.js";
import { tellDepth, tellError, tellLock, tellNothing, tellState, tellValue } from "./telling.js";
import { Tools } from "./tools.js";
import { actual, quarter, zoomed } from "./view.js";
import { Viewer } from "./viewer.js";

const SLOW = 250;
const CAPTION = "Where the score is sensitive: no segmentation, often wrong for small findings. Not for diagnosis.";
const by = (id) => document.getElementById(id);
const study = by("reading").dataset.study;
const viewer = new Viewer(by("panes"), new URLSearchParams(location.search).get("draw") ?? "");
const tools = new Tools(viewer, by("stage"), tellValue);
const beside = new Beside(viewer, loading);
const lock = hold(study, tellLock, "handed" in by("reading").dataset);
let choices = [];
/** @type {import("./maps.js").Answer|null} */
let answer = null;
let shown = { heat: false, boxes: false };
let opening = new AbortController();

/** Wait for a picture; what takes longer is told. */
async function loading(promise, decoded) {
  const words = decoded ? "Loading the image" : "Decoding this image for the first time: up to 6 seconds";
  const timer = setTimeout(
    () => Object.assign(by("loading"), { textContent: words, hidden: false }),
    decoded ? SLOW : 0,
  );
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    by("loading").hidden = true;
  }
}

/** Open the chosen image. Until it is there no other one stands in its place, and no tool works on nothing. */
async function open() {
  const { value: image, dataset } = by("which-image").selectedOptions[0];
  opening.abort();
  opening = new AbortController();
  const { signal } = opening;
  beside.clear();
  viewer.main.clear();
  viewer.state.window = null;
  by("with-picture").disabled = true;
  tellNothing();
  try {
    if (dataset.kept === "false") throw new Error("the image was deleted; its readings are kept");
    const picture = await loading(loadPicture(image, signal), dataset.decoded === "true");
    dataset.decoded = "true";
    viewer.main.show(picture, "");
    by("with-picture").disabled = false;
    choices = presets(picture);
    by("preset").replaceChildren(...choices.map((one, n) => new Option(one.name, n)));
    tellDepth(viewer.main);
  } catch (error) {
    if (signal.aborted) return;
    Object.assign(by("loading"), { textContent: `This image cannot be shown: ${error.message}`, hidden: false });
  }
  await answered();
}

/** What the panel tells of this image by now. */
async function answered() {
  answer = await answerOf(by("which-image").value).catch(() => null);
  const reasons = {
    heat: answer ? answer.noMap : "after your own reading",
    boxes: answer ? answer.noBoxes : "after your own reading",
  };
  for (const [name, why] of Object.entries(reasons)) {
    const button = act(name);
    button.disabled = Boolean(why);
    button.title = why ? `${name === "heat" ? "No heat map" : "No boxes"}: ${why}` : button.title;
    if (why) shown[name] = false;
  }
  act("models").disabled = !answer || answer.models.length < 2 || Boolean(answer.noMap);
  const maps = answer?.maps ?? [];
  by("which-map").replaceChildren(...[...new Set(maps.map((one) => one.name))].map((name) => new Option(name)));
  by("which-map").hidden = by("which-map").options.length < 2;
  layers();
}

/** Put maps and boxes on the panes, and say in words where they are. */
function layers() {
  const lines = [];
  for (const pane of viewer.panes) {
    const model = pane.model ?? answer?.models[0];
    const over = pane.role === "main" || pane.role === "model";
    const map =
      over && shown.heat ? answer.maps.find((one) => one.model === model && one.name === by("which-map").value) : null;
    pane.heat = map ?? null;
    pane.boxes = over && shown.boxes ? answer.boxes.filter((one) => pane.role === "main" || one.model === model) : [];
    Object.assign(pane.caption, { textContent: CAPTION, hidden: !map });
    if (beside.kind === "models" && over) pane.title.textContent = modelName(model);
    if (map)
      lines.push(
        `${map.name}${beside.kind === "models" ? ` of ${modelName(model)}` : ""}: ${map.where ? `strongest in the ${map.where}` : "flat"}.`,
      );
    lines.push(...pane.boxes.map((box) => `Box: ${box.label}.`));
  }
  for (const name of ["heat", "boxes"]) act(name).setAttribute("aria-pressed", shown[name]);
  by("opacity").disabled = !shown.heat;
  const twin = answer?.section.querySelector("[data-where]");
  if (twin) {
    twin.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
    twin.hidden = !lines.length;
  }
  by("spoken").textContent = lines.join(" ");
  viewer.change();
}

const modelName = (id) => [...by("which-model").options].find((one) => one.value === id)?.text ?? id;
const act = (name) => document.querySelector(`[data-act="${name}"]`);
const pressed = (name, on) => act(name).setAttribute("aria-pressed", on);

function useTool(name) {
  tools.tool = name;
  for (const one of ["window", "pan", "zoom", "ruler"]) pressed(`tool-${one}`, one === name);
  by("stage").dataset.tool = name;
}

function choosePreset(n) {
  viewer.choose(choices[n].window);
}

async function standBeside(kind, what) {
  try {
    await beside.toggle(kind, what);
  } catch (error) {
    beside.clear();
    tellError(`It cannot be shown: ${error.message}`);
  }
  for (const one of ["models", "earlier", "input"]) pressed(one, beside.kind === one);
  if (beside.kind === "models") shown.heat = true;
  if (answer) layers();
}

const option = (id) => by(id).selectedOptions[0];
const ACTS = {
  "tool-window": () => useTool("window"),
  "tool-pan": () => useTool("pan"),
  "tool-zoom": () => useTool("zoom"),
  "tool-ruler": () => useTool("ruler"),
  magnifier: () => {
    viewer.change({ lens: !viewer.state.lens });
    pressed("magnifier", viewer.state.lens);
  },
  fit: () => viewer.fit(viewer.active),
  actual: () => viewer.look(viewer.active, actual(viewer.active.view, viewer.active.port)),
  larger: () => viewer.look(viewer.active, zoomed(viewer.active.view, viewer.active.port, 1.25)),
  smaller: () => viewer.look(viewer.active, zoomed(viewer.active.view, viewer.active.port, 0.8)),
  turn: () => {
    const turned = quarter(viewer.active.view);
    if (viewer.active.untouched) viewer.fit(viewer.active, turned.turns);
    else viewer.look(viewer.active, turned);
  },
  invert: () => {
    viewer.change({ inverted: !viewer.state.inverted });
    pressed("invert", viewer.state.inverted);
  },
  reset: () => {
    shown = { heat: false, boxes: false };
    beside.clear();
    for (const one of ["models", "earlier", "input", "invert", "magnifier"]) pressed(one, false);
    Object.assign(viewer.main, { ruler: null });
    by("length").textContent = "";
    viewer.change({ window: null, inverted: false, lens: false });
    viewer.fit(viewer.main, 0);
    layers();
  },
  preset: () => choosePreset((by("preset").selectedIndex + 1) % choices.length),
  heat: () => {
    shown.heat = !shown.heat;
    layers();
  },
  boxes: () => {
    shown.boxes = !shown.boxes;
    layers();
  },
  models: () => standBeside("models", { models: answer.models }),
  earlier: () => {
    const { value: image, text: title, dataset } = option("which-earlier");
    return standBeside("earlier", { image, title: `Other image: ${title}`, decoded: dataset.decoded === "true" });
  },
  input: () =>
    standBeside("input", {
      image: by("which-image").value,
      model: option("which-model").value,
      name: option("which-model").text,
    }),
  image: () => {
    by("which-image").selectedIndex = (by("which-image").selectedIndex + 1) % by("which-image").options.length;
    return open();
  },
  help: () => {
    const rows = told().flatMap(([key, text]) => [
      Object.assign(document.createElement("dt"), { textContent: key }),
      Object.assign(document.createElement("dd"), { textContent: text }),
    ]);
    by("keys").replaceChildren(...rows);
    by("help").showModal();
  },
  aside: async () => {
    await ask("PUT", `/api/v1/studies/${study}/state`, { state: "pending" });
    await ACTS.next();
  },
  next: async () => {
    const told = await (await ask("POST", `/api/v1/worklist/next?after=${study}`)).json();
    lock.release();
    location.assign(told.study ? `/studies/${told.study}` : "/");
  },
  release: async () => {
    if (by("panel").dataset.state === "pending") await ask("PUT", `/api/v1/studies/${study}/state`, { state: "open" });
    ACTS.leave();
  },
  "hand-over": async () => {
    if (await handOver(study)) ACTS.leave();
  },
  leave: () => {
    lock.release();
    location.assign("/");
  },
};

document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-act]")?.dataset.act;
  if (name) Promise.resolve(ACTS[name]()).catch((error) => tellError(error.message));
});
by("take-over").addEventListener("click", () => lock.over().catch((error) => tellError(error.message)));
listen((event) => {
  if (event.key === "Enter" && event.target === by("stage")) return tools.swapEnds();
  return tools.arrow(event.key, event.shiftKey);
}, by("stage"));
switchable(by("keys-off"));
by("which-image").addEventListener("change", open);
by("which-map").addEventListener("change", layers);
by("preset").addEventListener("change", () => choosePreset(by("preset").selectedIndex));
by("opacity").addEventListener("input", () => viewer.change({ opacity: by("opacity").value / 100 }));
for (const name of ["center", "width"]) {
  by(name).addEventListener("change", () => {
    if (by(name).checkValidity() && by(name).value !== "")
      viewer.choose({ ...viewer.window, [name]: Number(by(name).value) });
  });
}
by("stage").addEventListener("measured", (event) => (by("length").textContent = event.detail));
viewer.addEventListener("drawn", (event) => {
  tellState(viewer, choices);
  by("stage").dispatchEvent(new CustomEvent("drawn", { detail: event.detail }));
});
watchPanel(() => {
  settle();
  if (by("panel").dataset.stage === "done") lock.release();
  return answered();
});
act("earlier").disabled = !by("which-earlier").options.length;
act("input").disabled = !by("which-model").options.length;
useTool("window");
open();
