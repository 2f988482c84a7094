/**
 * Live events, of which a browser holds one stream however many pages are open: the page that holds the lock listens and tells
 * the others. An event names a study by its key and says nothing of a patient.
 */

const KINDS = ["received", "read", "failed", "verdict", "open", "pending", "done", "locked", "released", "handed over", "deleted"];
const NAME = "cxreader-events";
const PATIENCE = 4_000;
const AGAIN = 5_000;
const SIGNED_OUT = 60_000;

/**
 * @param {number} after the number of the last event that the page knows
 * @param {(event: {study: string, kind: string}) => void} happened
 * @param {(state: "live" | "lost" | "signed-out") => void} changed of the connection
 */
export function follow(after, happened, changed) {
  const channel = new BroadcastChannel(NAME);
  let last = after;
  const tell = (message) => {
    hear({ data: message });
    channel.postMessage(message);
  };
  const hear = ({ data }) => {
    if (data.state) changed(data.state);
    else {
      last = Math.max(last, data.id);
      happened(data);
    }
  };
  channel.addEventListener("message", hear);
  const listen = () => new Promise(() => open(() => last, tell));
  if (navigator.locks) navigator.locks.request(NAME, listen);
  else listen();
}

/** Opens the stream, and again whenever it was closed for good. */
function open(last, tell) {
  const source = new EventSource(`/api/v1/events?after=${last()}`);
  let patience;
  source.addEventListener("open", () => {
    clearTimeout(patience);
    patience = undefined;
    tell({ state: "live" });
  });
  for (const kind of KINDS) {
    source.addEventListener(kind, ({ data, lastEventId }) => {
      // "open" is a study's state, and the browser's own word for a stream that begins, which has no data
      if (data !== undefined) tell({ kind, id: Number(lastEventId), study: JSON.parse(data).study });
    });
  }
  source.addEventListener("error", async () => {
    if (source.readyState === EventSource.CONNECTING) {
      patience ??= setTimeout(() => tell({ state: "lost" }), PATIENCE);
      return;
    }
    clearTimeout(patience);
    const state = await why();
    tell({ state });
    setTimeout(() => open(last, tell), state === "signed-out" ? SIGNED_OUT : AGAIN);
  });
}

async function why() {
  try {
    const answer = await fetch("/api/v1/session");
    return answer.status === 401 ? "signed-out" : "lost";
  } catch {
    return "lost";
  }
}
