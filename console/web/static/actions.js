// What operators can do. A page has these dialogs and buttons for operators alone; the server refuses the others too.
import * as format from "./format.js";

const texts = JSON.parse(document.getElementById("texts").textContent);
const t = (key, ...with_) => with_.reduce((s, one, i) => s.replaceAll(`{${i}}`, one), texts[key] ?? key);
const $ = (selector, of = document) => of.querySelector(selector);
const look = async () => (await import("./app.js")).look(location.href, true);

// ask asks the API. Where no answer came, or none in time, nobody knows whether it was done.
async function ask(method, path, body) {
  const init = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch(path, init);
    const data = await answer.json().catch(() => ({}));
    return { ok: answer.ok, unknown: answer.status === 504, status: answer.status, data, error: data.error };
  } catch {
    return { ok: false, unknown: method !== "GET", error: { code: "away", message: t("no.connection") } };
  }
}

// say shows what became of it below the buttons, with links to the trades that are in the way.
function say(dialog, text, kind = "dim", inTheWay = []) {
  const place = $(".said", dialog);
  place.className = "said " + kind;
  place.replaceChildren(text);
  for (const id of inTheWay) {
    const [account, seq] = id.split("-");
    const link = document.createElement("a");
    link.href = `/console/accounts/${account}?before=${Number(seq) + 1}`;
    link.textContent = id;
    place.append(" ", link);
  }
}

const refused = (dialog, { error, status, unknown }) => {
  let text = error?.message ?? t("failed");
  if (status === 401) text = t("login.again");
  if (unknown) text = `${text} — ${t("may.be.done")}`;
  say(dialog, text, "bad", error?.in_the_way);
};

function told(text) {
  const bar = document.createElement("div");
  bar.className = "bar";
  const p = document.createElement("p");
  p.textContent = "✓ " + text;
  bar.append(p);
  $("#notices").append(bar);
  $("#said").textContent = text;
  setTimeout(() => bar.remove(), 8000);
}

const once = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(12)); // there without a secure context too
  return "web-" + [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
};

// --- Taking a trade back, and correcting it.

const bust = $("#bust");
let standing = null; // the preview that is shown, and what it was asked with
let question = 0;

document.addEventListener("click", (e) => {
  const button = e.target.closest("[data-bust], [data-correct]");
  if (!button || !bust) return;
  const form = $("form", bust), correct = button.hasAttribute("data-correct");
  form.reset();
  bust.dataset.trade = button.dataset.bust ?? button.dataset.correct;
  bust.dataset.kind = correct ? "corrections" : "busts";
  $("h2", bust).textContent = t(correct ? "correct.title" : "bust.title", bust.dataset.trade);
  $(".go", bust).textContent = t(correct ? "correct.do" : "bust.do");
  for (const field of bust.querySelectorAll(".correction")) field.hidden = !correct;
  if (correct) {
    form.elements.price.value = bust.dataset.price = button.dataset.price;
    form.elements.quantity.value = bust.dataset.quantity = button.dataset.quantity;
  }
  $(".trade-id", bust).textContent = bust.dataset.trade;
  bust.showModal();
  form.elements.reason.focus();
  preview();
});

const wanted = () => {
  const f = $("form", bust).elements;
  const body = { trade: bust.dataset.trade, reason: f.reason.value.trim() || "preview", policy: f.policy.value };
  if (bust.dataset.kind === "corrections") Object.assign(body, { price: typed.money(f.price.value.trim()), quantity: Number(f.quantity.value) });
  return body;
};

// unchanged reports whether a correction has nothing to correct yet.
function unchanged() {
  const f = $("form", bust).elements;
  return f.price.value.trim() === bust.dataset.price && f.quantity.value.trim() === bust.dataset.quantity;
}

async function preview() {
  const mine = ++question;
  standing = null;
  ready();
  if (bust.dataset.kind === "corrections" && unchanged()) {
    $(".preview", bust).hidden = true;
    say(bust, t("correct.change"));
    return;
  }
  say(bust, t("preview.asking"));
  const body = wanted();
  const answer = await ask("POST", "/api/v1/" + bust.dataset.kind, { ...body, preview: true });
  if (mine !== question) return;
  const table = $(".preview", bust);
  table.hidden = !answer.ok;
  if (!answer.ok) { refused(bust, { ...answer, unknown: false }); return; }
  standing = { ...answer.data, body };
  shown(answer.data);
  say(bust, t("preview.as.of", answer.data.as_of_seq));
  ready();
}

function shown(p) {
  const rows = p.rows.map((row) => {
    const held = (one) => (one ? format.count(one.quantity) : t("row.none"));
    return [`${row.market} ${row.code} ${row.name}`, held(row.before), held(row.after)];
  });
  rows.push([t("cash"), format.money(p.cash_before.balance), format.money(p.cash_after.balance)]);
  rows.push([t("realised"), format.money(p.cash_before.realised), format.money(p.cash_after.realised)]);
  rows.push([t("value"), format.money(p.value_before), format.money(p.value_after)]);
  $(".preview tbody", bust).replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    cells.forEach((text, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (i) cell.className = "n"; else cell.scope = "row";
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  }));
  const cascade = $(".cascade", bust);
  cascade.hidden = !p.cascade.length;
  cascade.textContent = t("cascade", p.cascade.length, p.cascade.join(", "));
}

// ready: a reason, a preview that stands, and the id of the trade typed.
function ready() {
  const f = $("form", bust).elements;
  $(".go", bust).disabled = !standing || !f.reason.value.trim() || f.confirm.value.trim() !== bust.dataset.trade;
}

bust?.addEventListener("input", (e) => {
  if (e.target.name === "policy" || e.target.name === "price" || e.target.name === "quantity") {
    clearTimeout(bust.timer);
    bust.timer = setTimeout(preview, 250);
    standing = null;
  }
  ready();
});

bust?.addEventListener("submit", async (e) => {
  e.preventDefault();
  if (!standing) return;
  const body = { ...wanted(), bust_id: standing.bust_id };
  if (body.policy === "cascade") body.expect_cascade = standing.cascade;
  const go = $(".go", bust);
  go.disabled = true;
  say(bust, t("doing"));
  const answer = await ask("POST", "/api/v1/" + bust.dataset.kind, body);
  go.disabled = false;
  if (!answer.ok) {
    refused(bust, answer); // asked again, it goes under the same id, and is done once
    if (answer.error?.code === "cascade_changed") preview();
    return;
  }
  bust.close();
  told(t(bust.dataset.kind === "busts" ? "bust.done" : "correct.done", bust.dataset.trade));
  look();
});

// --- Dialogs that send what is in their fields: data-method, data-path, and what the answer is called.

document.addEventListener("click", (e) => {
  const button = e.target.closest("[data-dialog]");
  if (!button) return;
  const dialog = document.getElementById(button.dataset.dialog), form = $("form", dialog);
  form.reset();
  say(dialog, "");
  dialog.dataset.id = once();
  for (const [name, value] of Object.entries(button.dataset)) if (form.elements[name]) form.elements[name].value = value;
  for (const place of dialog.querySelectorAll("[data-about]")) place.textContent = button.dataset.about ?? "";
  dialog.dataset.path = button.dataset.path ?? form.dataset.path;
  dialog.showModal();
  confirmed(form);
});

// typed makes of a text what the API takes. An amount has two decimals at least; what is none, the API refuses.
const typed = {
  number: Number,
  money: (text) => (/^\d+(\.\d)?$/.test(text) ? Number(text).toFixed(2) : text.replaceAll(",", "")),
};

// confirmed: what is to be typed is typed.
function confirmed(form) {
  const field = form.elements.confirm;
  const go = $(".go", form);
  if (go) go.disabled = Boolean(field) && field.value.trim() !== field.dataset.is;
}
document.addEventListener("input", (e) => { const form = e.target.closest("form[data-method]"); if (form) confirmed(form); });

document.addEventListener("submit", async (e) => {
  const form = e.target.closest("form[data-method]");
  if (!form) return;
  e.preventDefault();
  const dialog = form.closest("dialog") ?? form, body = {};
  for (const field of form.elements) {
    if (!field.name || field.name === "confirm" || (field.type === "radio" && !field.checked)) continue;
    const value = field.value.trim();
    if (value === "" && field.dataset.optional !== undefined) continue;
    body[field.name] = typed[field.dataset.type]?.(value) ?? value;
  }
  if (form.dataset.once) body[form.dataset.once] = dialog.dataset.id;
  const go = $(".go", form);
  go.disabled = true;
  say(dialog, t("doing"));
  const answer = await ask(form.dataset.method, dialog.dataset.path || form.dataset.path,
    Object.keys(body).length || form.dataset.method !== "DELETE" ? body : undefined);
  go.disabled = false;
  if (!answer.ok) { refused(dialog, answer); return; }
  say(dialog, "");
  if (dialog.close) dialog.close();
  told(t(form.dataset.done, answer.data.account ?? answer.data.uid ?? answer.data.out ?? ""));
  if (form.dataset.then && answer.data.account) { location.assign(form.dataset.then + answer.data.account); return; }
  look();
});

// --- Several sessions at once: their number has to be typed.

const kicks = $("#kicks"), chosen = () => [...document.querySelectorAll("input[name=uid]:checked")].map((box) => box.value);
document.addEventListener("change", (e) => {
  if (!e.target.matches("input[name=uid]")) return;
  const button = $("#kick-chosen");
  button.disabled = !chosen().length;
  $(".count", button).textContent = chosen().length ? ` (${chosen().length})` : "";
});
$("#kick-chosen")?.addEventListener("click", () => {
  const form = $("form", kicks);
  form.reset();
  $(".many", kicks).textContent = t("kick.many", chosen().length);
  say(kicks, "");
  kicks.showModal();
  $(".go", kicks).disabled = true;
});
kicks?.addEventListener("input", () => {
  $(".go", kicks).disabled = $("form", kicks).elements.number.value.trim() !== String(chosen().length);
});
kicks?.addEventListener("submit", async (e) => {
  e.preventDefault();
  const reason = $("form", kicks).elements.reason.value.trim();
  let ended = 0;
  for (const uid of chosen()) {
    const answer = await ask("DELETE", "/api/v1/sessions/" + uid, reason ? { reason } : undefined);
    if (answer.ok) ended++;
    else if (answer.error?.code !== "unknown_session") { refused(kicks, answer); return; }
  }
  kicks.close();
  told(t("kicks.done", ended));
  look();
});

// --- The simulator: a slider by powers of ten, a field, a pause.

const flow = $("#flow");
const most = 20000;
const toRate = (x) => (x <= 0 ? 0 : Math.round(10 ** ((x / 100) * Math.log10(most))));
const toSlider = (rate) => (rate < 1 ? 0 : (Math.log10(rate) / Math.log10(most)) * 100);

function flowShown() {
  const f = flow.elements;
  f.slider.value = toSlider(Number(f.rate.value));
  f.slider.setAttribute("aria-valuetext", t("rate.text", f.rate.value));
}
if (flow) {
  flowShown();
  flow.addEventListener("input", (e) => {
    const f = flow.elements;
    if (e.target === f.slider) f.rate.value = toRate(Number(f.slider.value));
    flowShown();
  });
  flow.elements.slider.addEventListener("change", () => setFlow({ rate: toRate(Number(flow.elements.slider.value)) }));
  flow.addEventListener("submit", (e) => { e.preventDefault(); setFlow({ rate: Number(flow.elements.rate.value) }); });
}
document.addEventListener("click", (e) => {
  const button = e.target.closest("[data-flow]");
  if (button) setFlow({ paused: button.dataset.flow === "pause" });
});

async function setFlow(change) {
  say(flow, t("doing"));
  const answer = await ask("PUT", "/api/v1/simulator", change);
  if (!answer.ok) { refused(flow, answer); return; }
  const state = answer.data;
  flow.elements.rate.value = state.paused ? state.remembered_rate : state.rate;
  flowShown();
  say(flow, t(state.paused ? "flow.paused" : "flow.set", format.count(state.paused ? state.remembered_rate : state.rate)), "good");
  look();
}

// --- The level of the log, and logging out.

$("#log-level")?.addEventListener("change", async (e) => {
  const answer = await ask("PUT", "/api/v1/log", { level: e.target.value });
  const said = $("#log-said");
  said.className = answer.ok ? "good" : "bad";
  said.textContent = answer.ok ? t("log.set", answer.data.level) : (answer.error?.message ?? t("failed"));
});
$("#logout")?.addEventListener("click", async () => {
  await ask("POST", "/api/v1/logout");
  location.assign("/console/");
});
