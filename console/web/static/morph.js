// morph makes what is shown what it should be, and leaves alone what is the same already: so what is selected stays
// selected, and what has the focus keeps it. Rows are told apart by data-key. The order of rows does not change
// under the pointer, unless they are to: then only what is in them does, and the rest when the pointer has left.
let force = false;

export function morphAll(from, to, evenUnderThePointer) {
  force = evenUnderThePointer;
  morph(from, to);
}

const key = (node) => (node.nodeType === 1 ? node.dataset.key || node.id : "");

export function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || key(from) !== key(to)) {
    from.replaceWith(to);
    return;
  }
  if (from.nodeType !== 1) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.isEqualNode(to) || from.hasAttribute("data-keep")) return;
  attributes(from, to);
  if (from.nodeName === "SELECT" || from.nodeName === "INPUT") return;
  children(from, to);
}

function attributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && name !== "open" && name !== "data-held" && !(name === "class" && from.nodeName === "TR")) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function children(from, to) {
  if (from.nodeName === "TBODY" && !force && from.matches(":hover") && moved(from, to)) {
    const there = new Map([...from.children].map((row) => [key(row), row]));
    for (const row of [...to.children]) if (key(row) && there.has(key(row))) morph(there.get(key(row)), row);
    from.dataset.held = "";
    return;
  }
  delete from.dataset.held;
  const keyed = new Map();
  for (const child of from.children) if (key(child)) keyed.set(key(child), child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const same = keyed.get(key(wanted));
    if (key(wanted) && same) {
      if (same !== at) from.insertBefore(same, at);
      else at = at.nextSibling;
      morph(same, wanted);
      keyed.delete(key(wanted));
    } else if (at && !key(at) && !key(wanted) && at.nodeName === wanted.nodeName) {
      const next = at.nextSibling;
      morph(at, wanted);
      at = next;
    } else {
      from.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// moved reports whether rows that are there would be elsewhere.
function moved(from, to) {
  const order = (of) => [...of.children].map(key);
  const before = order(from), after = order(to);
  return before.some((k, i) => k !== after[i]);
}
