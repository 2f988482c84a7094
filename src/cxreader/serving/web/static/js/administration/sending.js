/** Sending a model: how far it is, and why it was refused. */

const form = document.getElementById("send");
const status = document.getElementById("sending");
const button = form.querySelector("button");

/** @param {string} text @param {boolean} wrong */
function tell(text, wrong) {
  status.textContent = text;
  status.className = wrong ? "notice alarm" : "muted";
}

form.addEventListener("htmx:beforeRequest", () => {
  button.disabled = true;
  tell("Sending ...", false);
});

form.addEventListener("htmx:xhr:progress", (event) => {
  if (event.detail.lengthComputable && event.detail.total > 0) {
    const share = Math.floor((100 * event.detail.loaded) / event.detail.total);
    tell(share < 100 ? `Sending: ${share} %` : "Checking every byte ...", false);
  }
});

form.addEventListener("htmx:responseError", (event) => {
  button.disabled = false;
  tell(reason(event.detail.xhr), true);
});

form.addEventListener("htmx:sendError", () => {
  button.disabled = false;
  tell("The connection was lost; nothing was kept. Send it again.", true);
});

/** @param {XMLHttpRequest} answer problem details (RFC 9457) */
function reason(answer) {
  try {
    const told = JSON.parse(answer.responseText);
    return told.mend ? `${told.detail}; ${told.mend}` : told.detail;
  } catch {
    return `It was refused (status ${answer.status}).`;
  }
}
