// live connects a page to the stream: through the worker that all tabs share, or, where there is none, directly.
import { Stream } from "./stream.js";

export function live(topics, listener) {
  let send;
  try {
    const worker = new SharedWorker(new URL("worker.js", import.meta.url), { type: "module", name: "papertape" });
    worker.port.onmessage = (e) => listener(e.data);
    worker.port.start();
    send = (message) => worker.port.postMessage(message);
  } catch {
    const stream = new Stream();
    send = (message) => (message.gone ? stream.leave(listener) : stream.want(listener, message.topics));
  }
  const look = () => send({ topics: document.hidden ? [] : topics });
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => send({ gone: true }));
  addEventListener("pageshow", look);
  setInterval(look, 10000);
  look();
}
