// Checks of a page for people who see it otherwise, or not at all. The value is a list of sentences, empty if all is
// well. There is no axe here; these are the checks that matter: names, roles, contrast, colour alone, sizes.
(() => {
  const faults = [];
  const seen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && e.getClientRects().length > 0;
  const where = (e) => {
    const id = e.id ? "#" + e.id : "";
    return `<${e.nodeName.toLowerCase()}${id} class="${e.getAttribute("class") ?? ""}"> ${(e.textContent ?? "").trim().slice(0, 40)}`;
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const byId = (ids) => ids.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();

  // nameOf is what a screen reader says of an element.
  function nameOf(e) {
    if (e.getAttribute("aria-label")) return e.getAttribute("aria-label").trim();
    if (e.getAttribute("aria-labelledby")) return byId(e.getAttribute("aria-labelledby"));
    if (e.labels?.length) return [...e.labels].map((l) => l.textContent).join(" ").trim();
    const text = [...e.childNodes].map((c) => (c.nodeType === 3 ? c.data
      : c.nodeType === 1 && c.getAttribute("aria-hidden") !== "true" ? nameOf(c) : "")).join(" ").trim();
    return text || (e.getAttribute("title") ?? "").trim();
  }

  if (!document.documentElement.lang) faults.push("the page has no language");
  if (!document.title.trim()) faults.push("the page has no title");
  if (all("h1").length !== 1) faults.push(`there are ${all("h1").length} h1`);
  if (all("main").length !== 1) faults.push("there is not one main");
  if (document.querySelector("nav") && !nameOf(document.querySelector("nav"))) faults.push("the navigation has no name");
  const ids = all("[id]").map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) faults.push(`the id ${id} is there twice`);

  for (const e of all("a[href], button, input, select, textarea, summary, [role=button]")) {
    if (e.type === "hidden") continue;
    if (!nameOf(e)) faults.push(`no name: ${where(e)} in ${where(e.parentElement)}`);
    if (e.tabIndex > 0) faults.push(`a tabindex of its own: ${where(e)}`);
    if (!seen(e) || e.nodeName === "A") continue;
    const box = e.getBoundingClientRect();
    const label = e.closest("label")?.getBoundingClientRect();
    const height = Math.max(box.height, label?.height ?? 0), width = Math.max(box.width, label?.width ?? 0);
    const small = e.type === "checkbox" || e.type === "radio" || e.type === "range"; // their rows keep 24 px apart
    if (!small && (height < 24 || width < 24)) faults.push(`${Math.round(width)} × ${Math.round(height)} px is too small: ${where(e)}`);
  }
  for (const e of all("svg")) {
    if (e.getAttribute("aria-hidden") === "true") continue;
    if (e.getAttribute("role") !== "img" || !nameOf(e)) faults.push(`a picture without a name: ${where(e.parentElement)}`);
  }
  for (const table of all("main table")) {
    const named = table.caption || table.getAttribute("aria-labelledby") || table.closest("section")?.querySelector("h2");
    if (!named) faults.push("a table has no name");
    if (!table.tHead) faults.push("a table has no head");
    for (const th of table.querySelectorAll("thead th")) if (!nameOf(th)) faults.push(`a column without a name: ${where(table)}`);
    for (const th of table.querySelectorAll("th")) {
      if (!th.scope && !th.classList.contains("expand")) faults.push(`a head without a scope: ${where(th)}`);
    }
    for (const th of table.querySelectorAll("[aria-sort]")) if (!/▲|▼/.test(th.textContent)) faults.push(`a sort that is not seen: ${where(th)}`);
  }
  for (const dialog of all("dialog")) if (!nameOf(dialog)) faults.push(`a dialog without a name: ${where(dialog)}`);

  // Contrast, as WCAG has it.
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const looked = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || looked.has(e) || !seen(e) || e.closest(":disabled, script, option, .hide, title")) continue;
    looked.add(e);
    const style = getComputedStyle(e), below = behind(e);
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const least = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const got = contrast(over(parse(style.color), below), below);
    if (got < least) faults.push(`a contrast of ${got.toFixed(2)}: ${where(e)}`);
  }
  for (const e of all("input:not([type=hidden]):not([type=range]), select")) { // the edge of a field
    if (!seen(e) || e.type === "checkbox" || e.type === "radio") continue;
    const got = contrast(parse(getComputedStyle(e).borderTopColor), behind(e.parentElement));
    if (got < 3) faults.push(`an edge with a contrast of ${got.toFixed(2)}: ${where(e)}`);
  }

  // Never by colour alone.
  for (const e of all(".up, .down")) if (!/[▲▼]/.test(e.textContent) || !/[+-]/.test(e.textContent)) faults.push(`a gain by colour alone: ${where(e)}`);
  for (const e of all("td.good, td.bad, td.warn, .state")) if (!e.textContent.trim()) faults.push(`a state by colour alone: ${where(e)}`);

  // Nothing hangs over: tables scroll in their own frames.
  const root = document.scrollingElement;
  if (root.scrollWidth > root.clientWidth + 1) faults.push(`it is ${root.scrollWidth - root.clientWidth} px too wide`);
  if (innerWidth <= 360) {
    for (const table of all(".table table")) {
      if (!seen(table)) continue;
      const columns = [...table.querySelectorAll("thead th")].filter((th) => seen(th) && !th.classList.contains("expand")).length;
      if (columns > 3) faults.push(`${columns} columns at 360 px: ${where(table)}`);
    }
  }
  return faults;
})()
