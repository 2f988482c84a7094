/**
 * Says that a study is being read, again every minute, and that it is not any more when the page goes: a lease that warns others
 * and keeps nobody out.
 */

import { ask } from "./requests.js";

const BEAT = 60_000;

/**
 * @param {string} study its key
 * @param {(lock: {reader: string, since: string, until: string, yours: boolean, handed: boolean}) => void} told whose it is, after
 *   each beat; `handed` over to another, it beats no more before `over`
 * @param {boolean} waits it is not taken before `over`
 * @returns {{ over: () => Promise<void>, release: () => void }} `over` takes it over from another; `release` gives it back
 */
export function hold(study, told, waits) {
  const url = `/api/v1/studies/${study}/lock`;
  let held = true;
  let begun = !waits;
  const beat = async (query = "") => {
    if (!held || !begun) return;
    const lock = await (await ask("PUT", url + query)).json();
    begun = !lock.handed;
    told(lock);
  };
  const timer = setInterval(() => beat().catch(() => {}), BEAT);
  const release = () => {
    if (!held) return;
    held = false;
    clearInterval(timer);
    if (!begun) return;
    fetch(url, { method: "DELETE", headers: { "X-CSRF-Token": document.body.dataset.csrf }, keepalive: true }).catch(() => {});
  };
  addEventListener("pagehide", release);
  beat().catch(() => {});
  const over = () => {
    begun = true;
    return beat("?over=true");
  };
  return { over, release };
}
