// One stream for all tabs of a browser: a browser opens six connections to a host at most, and with a stream each
// the seventh tab would wait for ever.
import { Stream } from "./stream.js";

const stream = new Stream();
const silentAfter = 60000; // a tab that looks says so each 10 seconds; one that has crashed does not
const seen = new Map();

onconnect = (event) => {
  const port = event.ports[0];
  const listener = (what) => port.postMessage(what);
  port.onmessage = ({ data }) => {
    if (data.gone) {
      seen.delete(listener);
      stream.leave(listener);
      return;
    }
    seen.set(listener, Date.now());
    stream.want(listener, data.topics);
  };
};

setInterval(() => {
  for (const [listener, at] of seen) {
    if (stream.listeners.get(listener)?.length && Date.now() - at > silentAfter) {
      seen.delete(listener);
      stream.leave(listener);
    }
  }
}, 10000);
