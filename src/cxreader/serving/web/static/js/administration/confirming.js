/** Before a form that changes what matters is sent, whoever sits there confirms who they are, unless they did lately. */

const HOLDS = 600;
/** Seconds by which the page asks sooner than the service would. */
const EARLY = 15;
const dialog = document.getElementById("confirm");
const problem = dialog?.querySelector("[role=alert]");
let until = Number(dialog?.dataset.left);
let asked = null;

const now = () => performance.now() / 1_000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!dialog || !form.matches("[data-confirm]") || now() < until - EARLY) return;
  event.preventDefault();
  asked = { form, submitter: event.submitter };
  problem.hidden = true;
  dialog.showModal();
});

dialog?.querySelector('form[action="/confirm"]').addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = event.target.elements.password;
  if (!field) return;
  const began = now();
  const headers = { "X-CSRF-Token": document.body.dataset.csrf, "HX-Request": "true" };
  const body = new URLSearchParams({ password: field.value });
  const answer = await fetch("/confirm", { method: "POST", headers, body }).catch(() => null);
  field.value = "";
  if (answer?.ok) {
    until = began + HOLDS;
    dialog.close();
    asked.form.requestSubmit(asked.submitter);
    return;
  }
  const told = await answer?.json().catch(() => null);
  problem.textContent = told?.detail ?? "The service cannot be reached.";
  problem.hidden = false;
  field.focus();
});
