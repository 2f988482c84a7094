/** "I read it": a lease with a heartbeat. It warns others and keeps nobody out. */

const BEAT = 60_000;

/** @param {string} study @param {string} csrf @returns {{release: () => Promise<void>}} */
export function holdLock(study, csrf) {
  const path = `/api/v1/studies/${study}/lock`;
  const said = document.getElementById("lock");
  const over = document.getElementById("take-over");
  let done = false;

  async function beat(query = "") {
    if (done || document.getElementById("panel").dataset.stage === "done") return;
    const answer = await fetch(path + query, { method: "PUT", headers: { "X-CSRF-Token": csrf } }).catch(() => null);
    if (answer && !answer.ok) return;
    const lock = answer && (await answer.json());
    said.hidden = over.hidden = Boolean(lock?.yours);
    over.hidden ||= !lock;
    if (!lock) said.textContent = "The service does not answer. What you see stays; nothing is kept until it does.";
    else if (!lock.yours) said.textContent = `Being read by ${lock.reader} since ${new Date(lock.since).toTimeString().slice(0, 5)}`;
  }

  over.addEventListener("click", () => beat("?over=true"));
  beat();
  setInterval(beat, BEAT);
  return {
    async release() {
      done = true;
      await fetch(path, { method: "DELETE", headers: { "X-CSRF-Token": csrf }, keepalive: true }).catch(() => null);
    },
  };
}
