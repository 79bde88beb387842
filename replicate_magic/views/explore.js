// The page's side of the explorer. `explore.py` sends tables, each as the rows in which it differs
// from the one before; the model keeps the whole, so that every view of it shows the same.
//
// All text comes from outside: it becomes text nodes, never markup.

const PAUSE_MS = { filter: 150, map: 150, all: 600 }; // without a key, before a program is asked
const WAITING_MS = 250; // an answer that comes sooner leaves no time to read that it is waited for
const MODES = [
  ["filter", "Keep the runs for which the program gives anything but false and null"],
  ["map", "A row of each output that the program gives for a run"],
  ["all", "The program takes the list of all runs; a row of each item that it gives"],
];
const STATUSES = new Set([
  "starting", "processing", "running", "succeeded", "failed", "canceled", "aborted",
]);
const NUMBER = /^[-≈$]? ?[\d.,]+( ?(s|ms|min|h|%|k|[kM]?B)\b[\d\sa-z]*)?$/;

let lastId = 0;

export default { initialize, render };

// -- the model: frames become its values -------------------------------------------------------

function initialize({ model }) {
  let heard_ms = performance.now();
  let asked_ms = -Infinity;

  const askNews = () => {
    // One question is enough, however long a busy kernel takes; it may have been lost, though.
    if (performance.now() - asked_ms < SILENCE_MS) return;
    asked_ms = performance.now();
    send(model, { ask: "news" });
  };
  const hear = ({ table, opened, kept }) => {
    heard_ms = performance.now();
    model.set("lost", false);
    if (table?.base === undefined) asked_ms = -Infinity; // it is the answer
    if (table && !applied(model, table)) askNews();
    if (opened && opened.position === model.get("opened")?.position) model.set("opened", opened);
    if (kept) model.set("kept", kept);
  };
  const cutOff = () => {
    // The kernel was restarted, or the connection to it anew: an answer tells that it is the latter.
    model.set("lost", true);
    asked_ms = -Infinity;
    askNews();
  };
  const listen = setInterval(() => {
    if (isSearching(model) && performance.now() - heard_ms > SILENCE_MS) askNews();
  }, 1000);

  const { program, mode, asked } = model.get("table");
  model.set("asked", { program, mode, number: asked, at_ms: heard_ms });
  model.on("msg:custom", hear);
  model.on("comm_live_update", cutOff);
  return () => {
    clearInterval(listen);
    model.off("msg:custom", hear);
    model.off("comm_live_update", cutOff);
  };
}

// Whether the frame fits what is known: not where an edition between was missed.
function applied(model, { base, rows: [offset, fresh], ...table }) {
  const known = model.get("table");
  const asked = model.get("asked");
  if (table.asked < asked.number && base === undefined) sendQuestion(model); // it was lost
  if (table.edition <= known.edition) return true; // late
  if (offset && base !== known.edition) return false;
  model.set("table", { ...table, rows: known.rows.slice(0, offset).concat(fresh) });
  if (table.number > asked.number) {
    const { program, mode, number } = table; // another page has asked
    model.set("asked", { program, mode, number, at_ms: performance.now() });
  }
  return true;
}

function isWaiting(model) {
  return model.get("table").number < model.get("asked").number;
}

function isSearching(model) {
  return !model.get("lost") && (!model.get("table").done || isWaiting(model));
}

function find(model, program, mode) {
  const asked = model.get("asked");
  if (asked.program === program && asked.mode === mode) return;
  const number = Math.max(asked.number, model.get("table").asked) + 1;
  model.set("asked", { program, mode, number, at_ms: performance.now() });
  model.set("kept", null);
  sendQuestion(model);
}

function sendQuestion(model) {
  const { program, mode, number } = model.get("asked");
  send(model, { ask: "find", program, mode, number });
}

function open(model, position) {
  const known = model.get("opened");
  const closes = position === null || known?.position === position;
  model.set("opened", closes ? null : { position });
  if (!closes) send(model, { ask: "open", position });
}

// -- a view ------------------------------------------------------------------------------------

function render({ model, el }) {
  const id = `replicate-explore-${(lastId += 1)}`;
  el.classList.add("replicate-widget", "replicate-explore");
  // Keys belong to what has the focus, not to the notebook's own shortcuts.
  el.dataset.lmSuppressShortcuts = "true";

  const ask = make("div", "ask");
  const label = make("label", "name", { textContent: "jq", htmlFor: `${id}-program` });
  const box = make("textarea", "program", {
    id: `${id}-program`,
    rows: 1,
    spellcheck: false,
    autocapitalize: "off",
    placeholder: '.status == "failed" and .metrics.predict_time > 2',
  });
  box.setAttribute("aria-describedby", `${id}-error`);
  const modes = make("div", "modes choice", { role: "radiogroup", ariaLabel: "What the program does" });
  for (const [mode, title] of MODES) modes.append(radio(`${id}-mode`, mode, title));
  ask.append(label, box, modes);

  const error = make("pre", "error", { id: `${id}-error`, role: "status" });
  const top = make("div", "top");
  const count = make("span", "count", { role: "status" });
  const keep = make("span", "keep");
  const put = button("Put into", "Put the table into a variable, as a DataFrame");
  const variable = make("input", "variable", {
    value: "found", size: 10, spellcheck: false, autocapitalize: "off", ariaLabel: "Variable",
  });
  const kept = make("span", "kept", { role: "status" });
  keep.append(kept, put, variable);
  top.append(count, keep);
  const note = make("div", "note");

  const frame = make("div", "frame");
  const table = make("table", "", { ariaLabel: "Runs" });
  const head = make("thead");
  const body = make("tbody");
  table.append(head, body);
  frame.append(table);
  const foot = make("div", "foot");
  const more = button("Show more");
  const rest = make("span", "rest");
  foot.append(more, rest);
  const panel = make("div", "panel", { id: `${id}-panel`, role: "region", ariaLabel: "The run" });
  el.append(ask, error, top, note, frame, foot, panel);

  let timer = 0;
  let soon = 0;
  let drawn = { columns: [], rows: [] };

  const mode = () => modes.querySelector("input:checked").value;
  const askNow = () => {
    clearTimeout(timer);
    find(model, box.value, mode());
  };
  const askSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(askNow, PAUSE_MS[mode()]);
  };
  const typed = (event) => {
    fit(box);
    if (!event.isComposing) askSoon();
  };
  const press = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    askNow();
  };

  const drawQuestion = () => {
    const asked = model.get("asked");
    if (document.activeElement !== box) write(box, "value", asked.program);
    fit(box);
    modes.querySelector(`[value="${asked.mode}"]`).checked = true;
    drawCount();
  };

  const drawCount = () => {
    clearTimeout(soon);
    count.setAttribute("aria-busy", String(isSearching(model)));
    const left_ms = WAITING_MS - (performance.now() - model.get("asked").at_ms);
    const early = isWaiting(model) && left_ms > 0;
    if (early) soon = setTimeout(drawCount, left_ms);
    else write(count, "textContent", told());
    el.classList.toggle("stale", isWaiting(model) && !early);
  };
  const told = () => {
    if (model.get("lost")) return "disconnected; run the cell again";
    if (isWaiting(model)) return "searching…";
    const { done, matched, searched, total, unit } = model.get("table");
    if (!done) return `${many(matched)} found, searching… ${many(searched)} of ${many(total)}`;
    if (unit === "run") return `${many(matched)} of ${runs(total)}`;
    return `${rows(matched)} from ${runs(total)}`;
  };

  const drawTable = () => {
    const shown = model.get("table");
    write(error, "textContent", shown.error);
    box.setAttribute("aria-invalid", String(Boolean(shown.error)));
    write(note, "textContent", shown.note);
    drawRows(shown);
    more.hidden = !shown.more;
    const left = shown.matched - shown.rows.length;
    more.disabled = false;
    write(more, "textContent", `Show ${Math.min(left, 100)} more`);
    write(rest, "textContent", shownPart(shown));
    drawCount();
  };
  const shownPart = ({ rows: { length }, matched, done, more: can }) => {
    if (!length && done) return "Nothing is found.";
    if (length >= matched) return "";
    return `${can ? "" : "The first "}${many(length)} of ${many(matched)} are shown`;
  };

  const drawRows = ({ columns, rows: wanted }) => {
    const same = String(columns) === String(drawn.columns);
    let keeps = 0;
    while (same && keeps < drawn.rows.length && drawn.rows[keeps] === wanted[keeps]) keeps += 1;
    if (!same || !keeps) head.replaceChildren(headRow(columns, wanted[0]?.[1] ?? []));
    while (body.rows.length > keeps) body.lastChild.remove();
    const dots = columns.indexOf("status");
    body.append(...wanted.slice(keeps).map((row) => bodyRow(row, columns.length, dots)));
    if (!keeps) frame.scrollTop = 0;
    drawn = { columns, rows: wanted };
    frame.hidden = !wanted.length;
    const reached = body.querySelector('[tabindex="0"]') ?? body.querySelector("[tabindex]");
    reached?.setAttribute("tabindex", "0"); // one of the rows is reached by Tab, all by arrows
    markOpened();
  };

  const markOpened = () => {
    const position = model.get("opened")?.position ?? null;
    for (const row of body.rows) {
      const isOpen = position !== null && row.position === position;
      row.classList.toggle("open", isOpen);
      if (row.position >= 0) row.setAttribute("aria-current", String(isOpen));
    }
  };
  const drawOpened = () => {
    const opened = model.get("opened");
    panel.hidden = !opened;
    panel.replaceChildren(...(opened ? opening(opened, () => open(model, null)) : []));
    markOpened();
    if (opened?.json || opened?.failed) panel.scrollIntoView({ block: "nearest" });
  };

  const drawKept = () => {
    const { said = "", failed = false } = model.get("kept") ?? {};
    write(kept, "textContent", said);
    kept.classList.toggle("failed", failed);
    put.disabled = false;
  };
  const keepIt = () => {
    put.disabled = true;
    write(kept, "textContent", "gathering…");
    kept.classList.remove("failed");
    send(model, { ask: "keep", name: variable.value.trim() });
  };

  const rowOf = (event) => event.target.closest("tbody tr[tabindex]");
  const click = (event) => {
    const row = rowOf(event);
    if (!row || !document.getSelection().isCollapsed) return; // text was selected, to be copied
    focusRow(row);
    open(model, row.position);
  };
  const pressRow = (event) => {
    const row = rowOf(event);
    if (event.key === "Escape") open(model, null);
    if (!row) return;
    const next = {
      ArrowDown: row.nextElementSibling,
      ArrowUp: row.previousElementSibling,
      Home: body.firstElementChild,
      End: body.lastElementChild,
    }[event.key];
    if (next) focusRow(next);
    else if (event.key === "Enter" || event.key === " ") open(model, row.position);
    else return;
    event.preventDefault();
  };
  const focusRow = (row) => {
    body.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    row.setAttribute("tabindex", "0");
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };

  const draws = {
    "change:asked": drawQuestion,
    "change:table": drawTable,
    "change:opened": drawOpened,
    "change:kept": drawKept,
    "change:lost": drawCount,
  };
  for (const [event, draw] of Object.entries(draws)) {
    model.on(event, draw);
    draw();
  }
  box.addEventListener("input", typed);
  box.addEventListener("compositionend", askSoon);
  box.addEventListener("keydown", press);
  modes.addEventListener("change", askNow);
  put.addEventListener("click", keepIt);
  variable.addEventListener("keydown", (event) => event.key === "Enter" && keepIt());
  more.addEventListener("click", () => {
    more.disabled = true;
    send(model, { ask: "more" });
  });
  table.addEventListener("click", click);
  el.addEventListener("keydown", pressRow);

  return () => {
    clearTimeout(timer);
    clearTimeout(soon);
    for (const [event, draw] of Object.entries(draws)) model.off(event, draw);
  };
}

// -- parts ---------------------------------------------------------------------------------------

function headRow(columns, first) {
  const row = make("tr");
  for (const [n, name] of columns.entries()) {
    row.append(make("th", kind(first[n] ?? ""), { scope: "col", textContent: name }));
  }
  return row;
}

function bodyRow([position, cells], width, dots) {
  const row = make("tr");
  row.position = position;
  if (position >= 0) {
    row.setAttribute("tabindex", "-1");
    row.setAttribute("data-lm-suppress-shortcuts", ""); // a notebook's own arrows would go on
    row.title = "Show this run";
  }
  for (let n = 0; n < width; n += 1) {
    const text = cells[n] ?? "";
    const cell = make("td", kind(text));
    if (n === dots) cell.append(statusOf(text));
    else cell.textContent = text;
    row.append(cell);
  }
  return row;
}

function kind(text) {
  return NUMBER.test(text) ? "number" : "";
}

function statusOf(word) {
  const status = make("span", "status", { textContent: word });
  status.dataset.status = STATUSES.has(word) ? word : "other";
  return status;
}

// What is read first, and the whole JSON folded.
function opening(opened, close) {
  if (opened.failed) return [make("div", "why", { textContent: opened.failed })];
  if (!opened.json) return [make("div", "line", { textContent: "opening…" })];
  const line = make("div", "line");
  const page = make("a", "", { target: "_blank", rel: "noopener noreferrer", textContent: "run" });
  if (opened.page) page.href = opened.page;
  const shut = button("Close", "Close this run (Escape)");
  shut.addEventListener("click", close);
  if (opened.status) line.append(statusOf(opened.status));
  for (const fact of [opened.name, ...(opened.facts ?? [])]) {
    line.append(make("span", "fact", { textContent: fact ?? "" }));
  }
  if (opened.page) line.append(page);
  const top = make("div", "top");
  top.append(line, shut);
  const whole = make("details", "json");
  whole.append(
    make("summary", "", { textContent: "JSON" }),
    make("pre", "", { textContent: opened.json, tabIndex: 0 }),
  );
  const why = opened.error ? [make("div", "why", { textContent: opened.error })] : [];
  const texts = [["Prompt", opened.prompt], ["Output", opened.output]];
  const parts = texts.filter(([, text]) => text).flatMap(([name, text]) => [
    make("div", "heading", { textContent: name }),
    make("div", "text", { textContent: text, tabIndex: 0, role: "region", ariaLabel: name }),
  ]);
  return [top, ...why, ...parts, whole];
}

function radio(group, value, title) {
  const label = make("label", "", { title });
  const input = make("input", "", { type: "radio", name: group, value });
  label.append(input, make("span", "", { textContent: value }));
  return label;
}

function write(element, property, text) {
  if (element[property] !== text) element[property] = text;
}

// As high as its text: `field-sizing` is not everywhere yet.
function fit(box) {
  box.style.height = "auto";
  const edges = box.offsetHeight - box.clientHeight;
  if (box.scrollHeight) box.style.height = `${box.scrollHeight + edges}px`;
}

function runs(number) {
  return `${many(number)} ${number === 1 ? "run" : "runs"}`;
}

function rows(number) {
  return `${many(number)} ${number === 1 ? "row" : "rows"}`;
}
