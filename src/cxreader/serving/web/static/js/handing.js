/** The dialog by which a study is left to another reader. */

import { ask } from "./requests.js";

const dialog = document.getElementById("hand-over");

/**
 * @param {string} study its key
 * @returns {Promise<string>} the reader to whom it was left; empty where the dialog was closed
 * @throws {import("./requests.js").Refused}
 */
export async function handOver(study) {
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  if (dialog.returnValue !== "hand-over") return "";
  const reader = document.getElementById("to").value;
  await ask("PUT", `/api/v1/studies/${study}/reader`, { reader });
  return reader;
}
