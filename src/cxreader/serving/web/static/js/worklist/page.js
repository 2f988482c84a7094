/** The worklist's page: puts its parts together, and says what a request of htmx came to. */

import { failed, waited, waiting } from "./banner.js";
import { mark } from "./choice.js";
import { announce } from "./live.js";
import "./actions.js";
import "./adding.js";
import "./keys.js";

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get") return;
  for (const [name, value] of Object.entries(detail.parameters)) if (!value) delete detail.parameters[name];
  if (detail.parameters.sort === "urgency") delete detail.parameters.sort;
});
document.addEventListener("htmx:beforeRequest", ({ detail }) => detail.target.id === "worklist" && waiting());
document.addEventListener("htmx:afterRequest", waited);
document.addEventListener("htmx:afterSwap", () => {
  mark();
  announce("");
});
document.addEventListener("htmx:responseError", ({ detail }) => {
  let told = `the service answered ${detail.xhr.status}`;
  try {
    told = JSON.parse(detail.xhr.responseText).detail;
  } catch {
    // not in the service's own words
  }
  failed(detail.xhr.status, `the list could not be loaded, ${told}`);
});
document.addEventListener("htmx:sendError", () => failed(0, "the list could not be loaded, the service cannot be reached"));
document.documentElement.dataset.ready = "true";
