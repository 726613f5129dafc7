// What all pages have: the state in the bar, figures of each second, what the page's address asks for, keys.
import * as format from "./format.js";
import { live } from "./live.js";
import { morph, morphAll } from "./morph.js";
import "./actions.js";

const root = document.documentElement, main = document.getElementById("main");
const texts = JSON.parse(document.getElementById("texts").textContent);
export const t = (key, ...with_) => with_.reduce((s, one, i) => s.replaceAll(`{${i}}`, one), texts[key] ?? key);
const $ = (selector, of = document) => of.querySelector(selector);
const $$ = (selector, of = document) => [...of.querySelectorAll(selector)];

// --- What is preferred, in cookies: so a page comes as it is to look.

for (const choice of $$("[data-prefer]")) {
  choice.addEventListener("change", () => prefer(choice.dataset.prefer, choice.value));
}
function prefer(name, value) {
  document.cookie = `papertape-${name}=${value}; path=/console; max-age=31536000; samesite=strict`;
  const here = new URL(location);
  here.searchParams.delete("lang");
  location.replace(here);
}
$("#other-language")?.addEventListener("click", (e) => {
  e.preventDefault();
  prefer("lang", e.currentTarget.dataset.lang);
});

// --- Looking again.

let asked = 0, paused = false, looking = null;
const busy = () => $("dialog[open]") || !(getSelection()?.isCollapsed ?? true);

export async function look(url = location.href, force = false) {
  const mine = ++asked;
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/console/login") { location.assign(answer.url); return; }
    const text = await answer.text();
    if (mine !== asked) return; // there is a later question
    const page = new DOMParser().parseFromString(text, "text/html");
    const wanted = page.getElementById("main");
    if (!wanted) return;
    zoned(page);
    morphAll(main, wanted, force);
    document.title = marked(page.title);
    sparks();
  } catch { /* the bar says that there is no connection */ }
}

// Rows that were kept in their places under the pointer take them when it leaves.
main.addEventListener("mouseout", (e) => {
  const body = e.target.closest("tbody[data-held]");
  if (body && !body.contains(e.relatedTarget) && !paused) look();
});

function zoned(of) {
  if (root.dataset.zone !== "browser") return;
  for (const time of $$("time[datetime]", of)) time.textContent = format.moment(time.dateTime, time.dataset.form);
}

const every = Number(main.dataset.every);
if (every) setInterval(() => { if (!paused && !document.hidden && !down && !busy()) look(); }, every * 1000);

// A filter is in the address as soon as it is typed, so that it can be kept, sent and gone back from.
document.addEventListener("submit", (e) => { if (e.target.matches("form.now")) { e.preventDefault(); filter(e.target, true); } });
document.addEventListener("change", (e) => { const f = e.target.closest("form.now"); if (f && e.target.nodeName === "SELECT") filter(f, true); });
document.addEventListener("input", (e) => {
  const f = e.target.closest("form.now");
  if (!f || e.target.nodeName === "SELECT") return;
  clearTimeout(looking);
  looking = setTimeout(() => filter(f, false), 150);
});
function filter(form, keep) {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  const url = location.pathname + (query.size ? "?" + query : "");
  if (url !== location.pathname + location.search) history[keep ? "pushState" : "replaceState"](null, "", url);
  look(url, true);
}
addEventListener("popstate", () => location.reload());

// --- The stream.

let last = 0, down = false, begun = null, rings = new Map(), alarms = 0, wasAt = 0;
const seconds = 120;

function tick(data) {
  last = Date.now();
  if (down) { down = false; }
  notice("down", "");
  if (begun && begun.build !== data.build) {
    notice("build", t("build", data.build), true);
  } else if (begun && begun.started !== data.started) {
    notice("restarted", t("restarted", format.moment(data.started, "clock")));
    rings = new Map();
    wasAt = 0;
    look();
  }
  begun = { build: data.build, started: data.started };
  state(data);
  if (data.rings) for (const ring of data.rings.figures) rings.set(ring.name, { values: ring.seconds.slice(-seconds), unit: ring.unit });
  if (data.overview) overview(data.overview, Boolean(data.rings));
  if (data.sessions) sessions(data.sessions);
  if (data.prices) prices(data.prices);
  for (const account of data.accounts ?? []) moved(account);
}

function state(data) {
  const shown = $("#state");
  const kind = { ready: "good", late: "bad", draining: "warn" }[data.state] ?? "warn";
  shown.className = "state " + kind;
  root.classList.toggle("stale", false);
  const percent = data.percent !== undefined && data.state !== "ready" ? ` ${data.percent} %` : "";
  shown.textContent = t("state." + data.state) + percent;
  shown.title = data.reason ?? "";
}

function overview(o, started) {
  for (const f of o.figures) {
    const ring = rings.get(f.name) ?? { values: [], unit: f.unit };
    if (!started) ring.values = [...ring.values, f.value].slice(-seconds);
    rings.set(f.name, ring);
    for (const place of $$(`[data-figure="${f.name}"]`)) set(place, format.figure(f.value, f.unit));
  }
  for (const l of o.latencies) {
    for (const place of $$(`[data-latency^="${l.name}."]`)) {
      const name = place.dataset.latency.split(".")[1] + "_ms";
      set(place, format.milliseconds(l[name]));
    }
  }
  for (const l of o.limits) limit(l);
  if (!paused) sparks();
  shownAlarms(o.alarms);
}

function limit(l) {
  for (const row of $$(`[data-limit="${l.name}"]`)) {
    const show = (v) => (l.unit === "bytes" ? format.bytes(v) : format.count(v));
    set($(".value", row), show(l.value));
    set($(".most", row), show(l.limit));
    const fill = $(".fill", row), full = l.limit > 0 ? Math.min(1, l.low ? l.value / (10 * l.limit) : l.value / l.limit) : 0;
    fill?.setAttribute("width", (full * 100).toFixed(1));
  }
}

function sparks() {
  for (const svg of $$("[data-spark] svg")) {
    const ring = rings.get(svg.closest("[data-spark]").dataset.spark);
    if (!ring || !ring.values.length) continue;
    const line = format.points(ring.values);
    $("polyline:not(.area)", svg).setAttribute("points", line);
    $(".area", svg).setAttribute("points", format.area(line));
  }
}

function shownAlarms(list) {
  const place = $("#alarms");
  if (place) {
    const names = list.map((a) => a.name + a.text).join("\n");
    if (place.dataset.names !== names) {
      place.dataset.names = names;
      place.replaceChildren(...list.map((a) => {
        const item = document.createElement("li");
        item.className = a.severity === "page" ? "bad" : "";
        item.textContent = `⚠ ${texts["alarm." + a.name] ?? a.name}: ${a.text}`;
        return item;
      }));
    }
  }
  if (alarms !== list.length) {
    alarms = list.length;
    document.title = marked(document.title);
  }
}
const marked = (title) => (alarms ? `● ${t("alarms", alarms)} - ` : "") + title.replace(/^● .*? - /, "");

function set(place, text) {
  if (!place || paused) return;
  const node = place.firstChild;
  if (node && node.nodeType === 3 && !node.nextSibling) { if (node.data !== text) node.data = text; }
  else place.textContent = text;
}

function sessions(s) {
  const body = $("[data-top-sessions]");
  if (!body || paused) return;
  const rows = s.sessions.slice(0, Number(body.dataset.topSessions));
  const wanted = body.cloneNode(false);
  for (const one of rows) {
    const row = document.createElement("tr");
    row.dataset.key = "uid" + one.uid;
    const cell = (text, name = "n", href) => {
      const td = document.createElement("td");
      td.className = name;
      if (href) { const a = document.createElement("a"); a.href = href; a.textContent = text; td.append(a); } else td.textContent = text;
      row.append(td);
    };
    cell(String(one.uid), "n", `/console/sessions?account=${one.account || ""}`);
    if (one.account) cell(String(one.account), "n", `/console/accounts/${one.account}`);
    else cell("–");
    cell(t("state." + one.state), "");
    cell(format.bytes(one.waiting_bytes));
    wanted.append(row);
  }
  const empty = $("[data-no-sessions]");
  if (empty) empty.hidden = rows.length > 0;
  morph(body, wanted);
}

function prices(list) {
  if (paused) return;
  list.forEach((price, i) => {
    const row = $(`tr[data-index="${i}"]`);
    if (!row) return;
    set($(".price", row), format.money(price));
    const c = format.change(price, row.dataset.close), place = $(".change", row);
    if (place.dataset.text === c.text) return;
    place.dataset.text = c.text;
    const span = document.createElement("span"), mark = document.createElement("span");
    span.className = c.class;
    mark.setAttribute("aria-hidden", "true");
    mark.textContent = c.mark;
    span.append(mark, " " + c.text);
    place.replaceChildren(span);
  });
}

// moved looks at an account again when something has happened to it.
function moved(account) {
  if (!account.holdings || String(account.account) !== main.dataset.account) return;
  const seq = account.holdings.as_of_seq;
  if (seq === wasAt) return;
  wasAt = seq;
  if (!paused && !busy()) look();
}

function heard(what) {
  if (what.kind === "tick") tick(what.data);
  else if (what.kind === "login") location.assign("/console/login?next=" + encodeURIComponent(location.pathname + location.search));
  else if (!down) { down = true; }
}

const topics = (main.dataset.topics ?? "").split(",").filter(Boolean);
if (main.dataset.topics !== undefined) live(["overview", ...topics.filter((one) => one !== "overview")], heard);

// The age of what is shown is counted here, from the last that came: nothing is green by default.
const opened = Date.now();
setInterval(() => {
  const age = (Date.now() - (last || opened)) / 1000, place = $("#age");
  if (!place || document.hidden) return;
  place.textContent = last ? age.toFixed(age < 10 ? 1 : 0) + " s" : "–";
  place.className = "num " + (age > 10 ? "bad" : age > 3 ? "warn" : "dim");
  root.classList.toggle("stale", age > 10);
  if (age > 3 && main.dataset.topics !== undefined) {
    notice("down", t(down ? "down" : "late", Math.round(age)));
    if (down) { const s = $("#state"); s.className = "state bad"; s.textContent = t("state.away"); }
  }
}, 250);

function notice(name, text, reload = false) {
  const place = $("#notices");
  let bar = $(`[data-notice="${name}"]`, place);
  if (!text) { bar?.remove(); return; }
  if (!bar) {
    bar = document.createElement("div");
    bar.className = "bar " + (name === "down" ? "bad" : "warn");
    bar.dataset.notice = name;
    bar.append(document.createElement("p"));
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.textContent = t(reload ? "reload" : "dismiss");
    button.onclick = () => (reload ? location.reload() : bar.remove());
    bar.append(button);
    place.append(bar);
    $("#said").textContent = text; // once, and not each second
  }
  set(bar.firstChild, text);
}

// --- Copying. Over plain HTTP from elsewhere there is no clipboard, so the text is selected in a field.

document.addEventListener("click", async (e) => {
  const copy = e.target.closest("[data-copy]");
  if (copy) {
    const text = copy.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      $("#said").textContent = t("copied", text);
      copy.classList.add("good");
      setTimeout(() => copy.classList.remove("good"), 1200);
    } catch {
      const field = $("#copy-field"), dialog = $("#copy");
      field.value = text;
      dialog.showModal();
      field.select();
    }
  }
  const expand = e.target.closest(".expand");
  if (expand) {
    const open = expand.closest("tr").classList.toggle("open");
    expand.setAttribute("aria-expanded", String(open));
  }
  if (e.target.closest("[data-pause]")) pause();
  const close = e.target.closest("[data-close]");
  if (close) close.closest("dialog").close();
  if (e.target.closest("[data-help]")) help();
  const view = $(".view[open]");
  if (view && !view.contains(e.target)) view.open = false;
});

function pause() {
  paused = !paused;
  for (const button of $$("[data-pause]")) {
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? t("resume") : t("pause");
  }
  $("#said").textContent = t(paused ? "paused" : "resumed");
  if (!paused) look(location.href, true);
}

// help shows the keys; a dialog gives the focus back by itself.
function help() { $("#help")?.showModal(); }

// --- Keys.

const places = { o: "/console/", a: "/console/accounts", s: "/console/sessions", i: "/console/instruments", j: "/console/journal" };
let going = false; // after g
const rows = () => $$("tbody tr[data-key]", main);

function step(by) {
  const all = rows(), at = all.findIndex((row) => row.classList.contains("at"));
  if (!all.length) return;
  all[at]?.classList.remove("at");
  const row = all[Math.max(0, Math.min(all.length - 1, at + by))];
  row.classList.add("at");
  row.scrollIntoView({ block: "nearest" });
  ($("a, button", row) ?? row).focus({ preventScroll: true });
}

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  if (e.key === "Escape") { const v = $(".view[open]"); if (v) { v.open = false; $("summary", v).focus(); } }
  if ($("dialog[open]") || e.target.closest("input, select, textarea")) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  if (going && places[e.key]) { location.assign(places[e.key]); return; }
  going = false;
  switch (e.key) {
    case "/": e.preventDefault(); ($("form.now input[name=q]", main) ?? $(".find input"))?.focus(); break;
    case "g": going = true; break;
    case "j": step(1); break;
    case "k": step(-1); break;
    case "Enter": if (e.target === document.body) $("tr.at a", main)?.click(); break;
    case "p": pause(); break;
    case "?": help(); break;
  }
});

if (root.dataset.zone === "browser") { // so that it is always said which zone times are in
  const east = -new Date().getTimezoneOffset(), minutes = Math.abs(east) % 60;
  const hours = Math.trunc(Math.abs(east) / 60) + (minutes ? ":" + String(minutes).padStart(2, "0") : "");
  $("#zone").textContent = east ? `UTC${east > 0 ? "+" : "-"}${hours}` : "UTC";
}
zoned(document);
root.dataset.ready = "yes";
