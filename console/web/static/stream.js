// Stream is the one connection of a browser to /api/v1/live. It carries what its listeners want together, and is
// closed while nobody looks. EventSource comes back by itself after a cut, but a refusal ends it for good, so it is
// made anew, after a second at first and half a minute at most.
const shortest = 1000, longest = 30000, settle = 150;

export class Stream {
  constructor() {
    this.listeners = new Map(); // a function for what happens => the topics that it wants; none: it does not look
    this.source = null;
    this.url = "";
    this.wait = shortest;
    this.timer = 0;
    this.first = null; // the event that began the stream, for those who come later
    this.last = null;
  }

  want(listener, topics) {
    const isNew = !this.listeners.has(listener);
    this.listeners.set(listener, topics);
    if (isNew && this.first) {
      listener({ kind: "tick", data: { ...this.first, ...this.last, rings: this.first.rings } });
    }
    this.plan(settle);
  }

  leave(listener) {
    this.listeners.delete(listener);
    this.plan(settle);
  }

  plan(after) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), after);
  }

  // topics are those of all who look, in one order so that the same ones are the same address.
  topics() {
    const all = new Set();
    for (const wanted of this.listeners.values()) for (const one of wanted) all.add(one);
    const accounts = [...all].filter((one) => one.startsWith("account:")).sort().slice(0, 8);
    return [...[...all].filter((one) => !one.startsWith("account:")).sort(), ...accounts];
  }

  open() {
    const topics = this.topics();
    const url = topics.length ? "/api/v1/live?topics=" + encodeURIComponent(topics.join(",")) : "";
    if (url === this.url && this.source && this.source.readyState !== 2) return;
    this.close();
    if (!url) return;
    this.url = url;
    const source = (this.source = new EventSource(url));
    for (const name of ["start", "tick"]) source.addEventListener(name, (e) => this.take(name, JSON.parse(e.data)));
    source.onerror = () => {
      if (source !== this.source) return;
      this.tell({ kind: "down" });
      if (source.readyState === 2) this.refused();
    };
  }

  take(name, data) {
    this.wait = shortest;
    if (name === "start") this.first = data;
    else if (this.first && data.epoch !== this.first.epoch) this.first = null; // figures of another run
    this.last = data;
    this.tell({ kind: "tick", data });
  }

  // refused asks why: whoever has to log in is not helped by trying again.
  async refused() {
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(longest, this.wait * 2);
    try {
      const answer = await fetch("/api/v1/server", { headers: { Accept: "application/json" } });
      if (answer.status === 401) {
        this.close();
        this.tell({ kind: "login" });
        return;
      }
    } catch { /* not there yet */ }
    this.plan(wait);
  }

  close() {
    this.source?.close();
    this.source = null;
    this.url = "";
    this.first = this.last = null;
  }

  tell(what) {
    for (const [listener, topics] of this.listeners) if (topics.length) listener(what);
  }
}
