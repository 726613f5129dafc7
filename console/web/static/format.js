// Figures as format.go shows them; both are held to testdata/figures.json.
const nothing = "–";

export function grouped(decimal) {
  const sign = decimal.startsWith("-") ? "-" : "";
  const [whole, part] = decimal.replace("-", "").split(".");
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part === undefined ? "" : "." + part);
}

const number = (v) => (v === null || v === undefined || v === "" ? NaN : Number(v));
const orNothing = (v, form) => (Number.isNaN(number(v)) ? nothing : form(number(v)));

export const count = (v) => orNothing(v, (f) => grouped(f.toFixed(0)));
export const money = (v) => (v === null || v === undefined || v === "" ? nothing : grouped(String(v)));

function shortest(f, whole) {
  if (whole || Math.abs(f) >= 100) return grouped(f.toFixed(0));
  return f.toFixed(Math.abs(f) >= 10 ? 1 : 2);
}

export function bytes(v) {
  return orNothing(v, (f) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    while (f >= 1024 && i < units.length - 1) { f /= 1024; i++; }
    return shortest(f, i === 0) + " " + units[i];
  });
}

export const rate = (v) => orNothing(v, (f) => (f === Math.trunc(f) ? grouped(f.toFixed(0)) : shortest(f, false)));
export const milliseconds = (v) => orNothing(v, (f) => shortest(f, false) + " ms");

export function seconds(f) {
  const two = (n) => String(n).padStart(2, "0");
  const s = Math.trunc(f);
  if (f < 0.001) return shortest(f * 1e6, false) + " µs";
  if (f < 1) return shortest(f * 1e3, false) + " ms";
  if (f < 60) return shortest(f, false) + " s";
  if (f < 3600) return `${Math.trunc(s / 60)} min ${two(s % 60)} s`;
  if (f < 86400) return `${Math.trunc(s / 3600)} h ${two(Math.trunc((s % 3600) / 60))} min`;
  return `${Math.trunc(s / 86400)} d ${two(Math.trunc((s % 86400) / 3600))} h`;
}

export function figure(v, unit) {
  switch (unit) {
    case "bytes": return bytes(v);
    case "milliseconds": return milliseconds(v);
    case "seconds": return orNothing(v, seconds);
    case "a_second": case "ratio": return rate(v);
  }
  return count(v);
}

// change is by how much a price differs from one before: text and class.
export function change(price, before) {
  const p = number(price), b = number(before);
  if (Number.isNaN(p) || Number.isNaN(b) || b === 0) return { text: nothing, class: "dim", mark: "" };
  const f = ((p - b) / Math.abs(b)) * 100;
  const shown = f.toFixed(2) + " %";
  if (f > 0) return { text: "+" + shown, class: "up", mark: "▲" };
  if (f < 0) return { text: shown, class: "down", mark: "▼" };
  return { text: shown, class: "dim", mark: "=" };
}

// points are those of a spark line, as charts.go draws it.
export function points(values) {
  const there = values.filter((v) => v !== null);
  const low = Math.min(0, ...there);
  let high = Math.max(...there);
  if (!(high > low)) high = low + 1;
  const last = Math.max(1, values.length - 1);
  return values.map((v, i) => (v === null ? "" :
    `${((i / last) * 120).toFixed(1)},${(1 + ((high - v) / (high - low)) * 24).toFixed(1)}`)).filter(Boolean).join(" ");
}

export function area(line) {
  if (!line) return "";
  const x = (point) => point.split(",")[0];
  const all = line.split(" ");
  return `${x(all[0])},26 ${line} ${x(all[all.length - 1])},26`;
}

// moment shows a time in the zone of the browser, as view.go does for the others.
export function moment(iso, form) {
  const t = new Date(iso);
  const two = (n, width = 2) => String(n).padStart(width, "0");
  const clock = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  const date = `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  const old = Math.abs(Date.now() - t) > 20 * 3600e3;
  if (form === "clock" && !old) return `${clock}.${two(t.getMilliseconds(), 3)}`;
  return `${date} ${clock}`;
}
