// The page's side of the live table of a batch. `batch.py` sends frames, each the rows that have
// changed; the model keeps all that is known, so that every view of it shows the same. Of the rows
// only a page is in the DOM.
//
// All text comes from outside: it becomes text nodes, never markup. The one piece of markup, the
// document at the end, is made and sanitised by the kernel.

const PAGE = 25; // rows
const MOST_OPEN = 8; // answers that are followed at once
const BETWEEN_MS = 100; // what is asked for in pieces
const REPLACED_MS = 1500; // by then a table that has ended is gone, unless the page was reloaded
const KINDS = ["succeeded", "failed", "canceled", "running", "waiting"];
const FILTERS = { all: KINDS, running: ["running"], failed: ["failed", "canceled"] };
const COLUMNS = {
  "#": "number", model: "model", prompt: "prompt", answer: "answer", time: "amount",
  "tokens/s": "amount speed",
};
const DEAF =
  "The kernel does not hear clicks while the cell runs. Interrupting the kernel cancels all.";

let lastId = 0;

export default { initialize, render };

// -- the model: frames become its values -------------------------------------------------------

function initialize({ model }) {
  const known = {
    rows: new Map(),
    sets: { running: new Set(), failed: new Set() },
    models: new Set(),
    params: new Set(),
    prompts: new Set(),
    answers: new Map(),
    opened: [],
    canceled: new Set(), // requests that were asked to end; `null` is all
    heard: new Set(),
    facts: {},
    number: 0,
    latest: 0, // the request that changed last
    deaf: false,
    lost: false,
    html: "",
  };
  let heard_ms = performance.now();
  let asked_ms = -Infinity;

  const askNews = (from) => {
    // One question is enough, however long a busy kernel takes; it may have been lost, though.
    if (performance.now() - asked_ms < SILENCE_MS) return;
    asked_ms = performance.now();
    send(model, { ask: "news", from });
  };
  const hear = (frame) => {
    heard_ms = performance.now();
    known.lost = false;
    if (frame.heard !== undefined || frame.answers) known.deaf = false;
    if (frame.number > known.number + 1) askNews(0); // one was lost
    if (frame.whole > known.number && known.number) askNews(0);
    known.number = Math.max(known.number, frame.number ?? frame.whole ?? 0);
    take(known, frame);
    if (frame.whole !== undefined) asked_ms = -Infinity; // it is the answer
    if (frame.behind) askNews(0);
    if (frame.next) setTimeout(() => send(model, { ask: "news", from: frame.next }), BETWEEN_MS);
    for (const { number } of frame.answers ?? []) askForRest(number);
    tell(model);
  };
  const askForRest = (number) => {
    // What a frame has no room for comes with the next news, of which there may be none.
    setTimeout(() => {
      const answer = known.answers.get(number);
      const isShort = answer && answer.text.length < answer.length;
      if (isShort && known.opened.includes(number)) look(model, number);
    }, 1000);
  };
  const cutOff = () => {
    // The kernel was restarted, or the connection to it anew: an answer tells that it is the latter.
    known.lost = true;
    asked_ms = -Infinity;
    askNews(known.rows.size);
    tell(model);
  };
  const listen = setInterval(() => {
    const quiet_ms = performance.now() - heard_ms;
    if (!known.facts.over && quiet_ms > SILENCE_MS) askNews(known.facts.known ?? 0);
  }, 1000);

  model.set("known", known);
  known.html = model.get("html");
  const table = model.get("table");
  take(known, table);
  known.number = table.whole ?? 0;
  if (table.whole && table.next) send(model, { ask: "news", from: table.next });
  model.on("msg:custom", hear);
  model.on("comm_live_update", cutOff);
  return () => {
    clearInterval(listen);
    model.off("msg:custom", hear);
    model.off("comm_live_update", cutOff);
  };
}

function tell(model) {
  model.set("news", (model.get("news") ?? 0) + 1);
}

function take(known, frame) {
  if (frame.heard !== undefined) known.heard.add(frame.heard);
  if (frame.html) known.html = frame.html;
  if (frame.facts) known.facts = { ...frame.facts, at_ms: performance.now() };
  for (const row of frame.rows ?? []) takeRow(known, row, frame.version);
  for (const answer of frame.answers ?? []) takeAnswer(known, answer);
}

function takeRow(known, [number, model, params, prompt, ...state], version) {
  const before = known.rows.get(number) ?? { number, params: {}, version: -1 };
  const row = { ...before };
  if (model !== null) {
    Object.assign(row, { model, params, prompt });
    known.models.add(model);
    if (known.prompts.size < 2) known.prompts.add(prompt);
    for (const name of Object.keys(params)) known.params.add(name);
  }
  if (version >= before.version) {
    const [kind, word, line, seconds, begun, speed] = state;
    Object.assign(row, { kind, word, line, seconds, begun, speed, version });
    for (const [name, set] of Object.entries(known.sets)) {
      if (FILTERS[name].includes(kind)) set.add(number);
      else set.delete(number);
    }
    if (kind !== "waiting") known.latest = number;
  }
  known.rows.set(number, row);
}

// The text may overlap what is known, and must not leave a gap.
function takeAnswer(known, { number, edition, offset, text, ...rest }) {
  let answer = known.answers.get(number) ?? { text: "", edition };
  if (edition !== answer.edition) answer = { ...answer, text: "", edition };
  const fits = offset <= answer.text.length;
  const grown = fits ? answer.text + text.slice(answer.text.length - offset) : answer.text;
  known.answers.set(number, { ...answer, ...rest, text: grown });
}

function look(model, number) {
  const { answers } = model.get("known");
  send(model, { ask: "look", number, known: answers.get(number)?.text.length ?? 0 });
}

function toggle(model, number) {
  const known = model.get("known");
  const isOpen = known.opened.includes(number);
  const others = known.opened.filter((one) => one !== number);
  const shut = isOpen ? [number] : others.slice(0, -(MOST_OPEN - 1));
  known.opened = isOpen ? others : [...others, number].slice(-MOST_OPEN);
  for (const one of shut) {
    known.answers.delete(one);
    send(model, { ask: "look away", number: one });
  }
  if (!isOpen) {
    const isHeard = () => known.answers.has(number) || !known.opened.includes(number);
    insist(model, () => look(model, number), isHeard);
  }
  tell(model);
}

function cancel(model, number) {
  const known = model.get("known");
  known.canceled.add(number);
  const isHeard = () => known.heard.has(number);
  const unheard = () => known.canceled.delete(number);
  insist(model, () => send(model, { ask: "cancel", number }), isHeard, unheard);
  tell(model);
}

function insist(model, say, isHeard, unheard = () => {}) {
  const known = model.get("known");
  for (const after_ms of SAY_AT_MS) setTimeout(() => isHeard() || say(), after_ms);
  setTimeout(() => {
    if (isHeard()) return;
    known.deaf = true;
    unheard();
    tell(model);
  }, ACKNOWLEDGED_MS);
}

// -- a view ------------------------------------------------------------------------------------

function render({ model, el }) {
  const known = model.get("known");
  const id = `replicate-batch-${(lastId += 1)}`;
  el.classList.add("replicate-widget", "replicate-batch");
  // Keys belong to what has the focus, not to the notebook's own shortcuts.
  el.dataset.lmSuppressShortcuts = "true";

  const live = make("div", "live");
  const top = make("div", "top");
  const line = make("span", "line");
  const all = button("Cancel all", "Cancel all requests. Interrupting the kernel does the same.");
  top.append(line, all);
  const bar = make("div", "bar", { role: "progressbar", ariaLabel: "Requests that have ended" });
  const segments = KINDS.map((kind) => make("span", kind));
  bar.append(...segments);
  const note = make("div", "note", { role: "status" });
  const filters = make("div", "filters choice", { role: "radiogroup", ariaLabel: "Which requests" });
  for (const name of Object.keys(FILTERS)) filters.append(radio(`${id}-filter`, name));
  const frame = make("div", "frame");
  const table = make("table", "", { ariaLabel: "Requests" });
  const head = make("thead");
  const body = make("tbody");
  table.append(head, body);
  frame.append(table);
  const pager = make("div", "pager");
  const back = button("Previous");
  const where = make("span", "where");
  const on = button("Next");
  const follow = button("Follow", "Show the rows that run, page by page");
  pager.append(back, where, on, follow);
  live.append(top, bar, note, filters, frame, pager);
  const ended = make("div", "jp-RenderedHTMLCommon ended");
  el.append(live, ended);

  let filter = "all";
  let page = 0;
  let follows = true;
  let columns = "";
  let drawing = 0;
  let ending = 0;
  const lines = new Map(); // what is in the DOM, by the request's number

  const numbers = () => {
    const { total, known: many = 0 } = known.facts;
    if (filter === "all") return { length: total ?? many, at: (place) => place };
    const found = [...known.sets[filter]].sort((a, b) => a - b);
    return { length: found.length, at: (place) => found[place] };
  };

  const draw = () => {
    drawing = 0;
    drawTop();
    drawFilters();
    drawTable();
    tick();
    if (known.facts.over && !ending) ending = setTimeout(askEnd, REPLACED_MS);
    live.hidden = Boolean(known.html);
    if (known.html && !ended.childNodes.length) ended.innerHTML = known.html; // sanitised
  };
  const drawSoon = () => {
    drawing ||= requestAnimationFrame(draw);
  };
  const askEnd = () => {
    if (!known.html && el.isConnected) send(model, { ask: "end" });
  };

  // -- above the table

  const drawTop = () => {
    const { total, known: many = 0, ended: done = 0, counts = {}, over } = known.facts;
    const whole = total ?? many;
    const shares = { ...counts, waiting: whole - done - (counts.running ?? 0) };
    for (const [n, kind] of KINDS.entries()) {
      segments[n].style.flexGrow = shares[kind] ?? 0;
      segments[n].hidden = !shares[kind] && kind !== "waiting";
    }
    bar.classList.toggle("open", total === null && !over);
    if (total !== null) {
      bar.setAttribute("aria-valuemax", whole);
      bar.setAttribute("aria-valuenow", done);
    }
    bar.setAttribute("aria-valuetext", counted().join(", "));
    live.setAttribute("aria-busy", String(!over && !known.lost));
    const told = known.lost ? "disconnected: the kernel has gone, or was restarted" : said();
    put(note, told);
    note.hidden = !told;
    all.hidden = Boolean(over || known.lost);
    const isGoing = known.facts.canceling || known.canceled.has(null);
    put(all, isGoing ? "Canceling…" : "Cancel all");
    all.setAttribute("aria-disabled", String(isGoing));
  };
  const said = () => (known.deaf ? DEAF : (known.facts.note ?? ""));
  const counted = () => {
    const { total, ended: done = 0, counts = {} } = known.facts;
    const of = total === null || total === undefined ? "" : ` of ${many(total)}`;
    const parts = [`${many(done)}${of} done`];
    for (const kind of ["running", "failed", "canceled"]) {
      if (counts[kind]) parts.push(`${many(counts[kind])} ${kind}`);
    }
    return parts;
  };

  const drawFilters = () => {
    const { counts = {} } = known.facts;
    const sums = { all: numbersOfAll() };
    for (const name of ["running", "failed"]) {
      sums[name] = FILTERS[name].reduce((sum, kind) => sum + (counts[kind] ?? 0), 0);
    }
    for (const label of filters.children) {
      const name = label.firstChild.value;
      label.firstChild.checked = name === filter;
      put(label.lastChild, `${name} ${many(sums[name])}`);
    }
    filters.hidden = sums.all < 2;
  };
  const numbersOfAll = () => known.facts.total ?? known.facts.known ?? 0;

  // -- the table

  const drawTable = () => {
    const wanted = numbers();
    const pages = Math.max(Math.ceil(wanted.length / PAGE), 1);
    if (follows && filter === "all" && !isHeld()) page = Math.floor(front() / PAGE);
    page = Math.min(page, pages - 1);
    const first = page * PAGE;
    const shown = [];
    for (let n = first; n < Math.min(first + PAGE, wanted.length); n += 1) shown.push(wanted.at(n));
    drawHead();
    drawRows(shown);
    frame.hidden = !shown.length;
    pager.hidden = pages < 2;
    put(where, `${many(first + 1)} to ${many(first + shown.length)} of ${many(wanted.length)}`);
    back.setAttribute("aria-disabled", String(page === 0));
    on.setAttribute("aria-disabled", String(page === pages - 1));
    follow.hidden = filter !== "all" || Boolean(known.facts.over);
    follow.setAttribute("aria-pressed", String(follows));
  };
  const front = () => {
    let least = Infinity;
    for (const number of known.sets.running) least = Math.min(least, number);
    return least === Infinity ? known.latest : least;
  };
  // A page does not turn under a reader's hands.
  const isHeld = () =>
    body.contains(document.activeElement) || known.opened.some((number) => lines.has(number));

  const drawHead = () => {
    const names = [
      "#", "status",
      ...(known.models.size > 1 ? ["model"] : []),
      ...known.params,
      ...(known.prompts.size > 1 ? ["prompt"] : []),
      "answer", "time", "tokens/s", "",
    ];
    const told = JSON.stringify(names);
    if (told === columns) return;
    columns = told;
    const row = make("tr");
    for (const [n, name] of names.entries()) {
      const isParam = n >= 2 && known.params.has(name); // a model may have an input `answer`
      const kind = isParam ? "param" : (COLUMNS[name] ?? "");
      row.append(make("th", kind, { scope: "col", textContent: name }));
    }
    row.lastChild.ariaLabel = "Cancel";
    head.replaceChildren(row);
    body.replaceChildren();
    lines.clear();
  };

  const drawRows = (shown) => {
    const kept = new Set(shown);
    for (const [number, one] of lines) {
      if (kept.has(number)) continue;
      one.remove();
      lines.delete(number);
    }
    let before = null;
    for (const number of shown) {
      const one = lines.get(number) ?? new Line(model, known, number, id);
      lines.set(number, one);
      one.draw();
      const expected = before ? before.nextSibling : body.firstChild;
      if (expected !== one.row) body.insertBefore(one.row, expected);
      one.drawDetail(head.firstChild.children.length);
      before = one.detail?.isConnected ? one.detail : one.row;
    }
    if (!body.querySelector('.opener[tabindex="0"]')) reach(lines.get(shown[0]));
  };
  const reach = (one) => {
    for (const other of lines.values()) other.isReached(other === one);
  };

  // Time is told here: no message is sent for it.
  const tick = () => {
    const { elapsed_s: passed_s = 0, at_ms = performance.now(), over, left_s: left } = known.facts;
    const since_s = over || known.lost ? 0 : (performance.now() - at_ms) / 1000;
    const parts = [...counted(), duration(passed_s + since_s)];
    const left_s = left === null || left === undefined ? null : Math.max(left - since_s, 0);
    if (left_s !== null && !over) {
      parts.push(`about ${roughly(left_s)} left, ends ${clock(left_s)}`);
    }
    put(line, parts.join(" · "));
    for (const one of lines.values()) one.tick(passed_s + since_s);
  };

  // -- what is done with it

  const turn = (to) => {
    follows = false;
    page = Math.max(to, 0);
    draw();
  };
  const choose = (event) => {
    filter = event.target.value;
    page = 0;
    draw();
  };
  const lineOf = (event) => {
    const row = event.target.closest("tbody tr");
    return row && lines.get(Number(row.dataset.number));
  };
  const click = (event) => {
    const one = lineOf(event);
    if (!one || event.target.closest("a, .detail")) return;
    if (event.target.closest(".cancel")) one.cancel();
    else if (event.target.closest("button") || document.getSelection().isCollapsed) one.toggle();
    reach(one); // where text was selected, it is to be copied
  };
  const press = (event) => {
    const one = lineOf(event);
    if (!one) return;
    if (event.key === "Escape" && known.opened.includes(one.number)) {
      one.toggle();
      one.opener.focus();
      return;
    }
    if (event.target !== one.opener) return;
    const all_ = [...lines.values()].sort((a, b) => a.row.rowIndex - b.row.rowIndex);
    const place = all_.indexOf(one);
    const next = {
      ArrowDown: all_[place + 1],
      ArrowUp: all_[place - 1],
      Home: all_[0],
      End: all_.at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    reach(next);
    next.opener.focus();
  };

  all.addEventListener("click", () => {
    if (!known.canceled.has(null)) cancel(model, null);
  });
  back.addEventListener("click", () => turn(page - 1));
  on.addEventListener("click", () => turn(page + 1));
  follow.addEventListener("click", () => {
    follows = !follows;
    draw();
  });
  filters.addEventListener("change", choose);
  table.addEventListener("click", click);
  table.addEventListener("keydown", press);
  model.on("change:news", drawSoon);
  draw();
  const ticking = setInterval(() => {
    if (!known.facts.over && !known.lost) tick();
  }, 200);

  return () => {
    clearInterval(ticking);
    clearTimeout(ending);
    cancelAnimationFrame(drawing);
    model.off("change:news", drawSoon);
  };
}

// A request in the table: its row, and the answer below it where it is opened.
class Line {
  constructor(model, known, number, id) {
    Object.assign(this, { model, known, number, drawn: null, detail: null });
    this.row = make("tr");
    this.row.dataset.number = number;
    this.opener = button(many(number + 1), known.facts.answers ? "Show the whole answer" : "");
    this.opener.className = "opener";
    this.opener.setAttribute("data-lm-suppress-shortcuts", ""); // a notebook's own arrows would go on
    this.opener.ariaLabel = `Request ${many(number + 1)}`;
    this.detailId = `${id}-${number}`;
    this.status = make("span", "status");
    this.answer = make("td", "answer");
    this.time = make("td", "amount");
    this.speed = make("td", "amount speed");
    this.stop = button("✕", `Cancel request ${number + 1}`);
    this.stop.className = "cancel";
    this.stop.ariaLabel = `Cancel request ${number + 1}`;
    this.isReached(false);
  }

  cells(row) {
    const cells = [cell("number", this.opener), cell("", this.status)];
    if (this.known.models.size > 1) cells.push(cell("model", row.model ?? ""));
    for (const name of this.known.params) cells.push(cell("param", row.params[name] ?? ""));
    if (this.known.prompts.size > 1) cells.push(cell("prompt", row.prompt ?? ""));
    return [...cells, this.answer, this.time, this.speed, cell("", this.stop)];
  }

  draw() {
    const row = this.known.rows.get(this.number) ?? WAITING;
    if (this.drawn?.model !== row.model || !this.row.childNodes.length) {
      this.row.replaceChildren(...this.cells(row));
    }
    const isGoing = this.known.canceled.has(this.number) && row.kind === "running";
    put(this.status, isGoing ? "canceling…" : row.word);
    this.status.dataset.kind = row.kind;
    put(this.answer, row.line ?? "");
    this.answer.classList.toggle("bad", row.kind === "failed");
    put(this.speed, row.speed ?? "");
    this.stop.hidden = row.kind !== "running" || this.known.facts.over;
    this.stop.setAttribute("aria-disabled", String(isGoing));
    this.drawn = row;
  }

  tick(passed_s) {
    const { kind, seconds, begun } = this.drawn ?? WAITING;
    const told = kind === "running" ? passed_s - begun : seconds;
    put(this.time, told === null || told === undefined ? "" : duration(Math.max(told, 0)));
  }

  drawDetail(width) {
    const isOpen = this.known.opened.includes(this.number);
    if (this.known.facts.answers) this.opener.setAttribute("aria-expanded", String(isOpen));
    this.row.classList.toggle("open", isOpen);
    this.row.classList.toggle("shut", !this.known.facts.answers);
    if (!isOpen) {
      this.detail?.remove();
      this.detail = null;
      return;
    }
    this.detail ??= this.newDetail();
    this.detail.firstChild.colSpan = width;
    this.opener.setAttribute("aria-controls", this.detailId);
    if (this.row.nextSibling !== this.detail) this.row.after(this.detail);
    this.drawAnswer();
  }

  newDetail() {
    const detail = make("tr", "detail");
    detail.dataset.number = this.number;
    const place = make("td");
    this.beside = make("div", "beside");
    this.page = make("a", "", { target: "_blank", rel: "noopener noreferrer", textContent: "run" });
    this.facts = make("span");
    this.beside.append(this.facts, this.page);
    this.prompt = make("div", "prompt");
    this.text = make("div", "text", {
      role: "region", ariaLabel: `Answer of request ${this.number + 1}`, tabIndex: 0,
    });
    this.node = document.createTextNode("");
    this.text.append(this.node);
    place.append(this.beside, this.prompt, this.text);
    place.id = this.detailId;
    detail.append(place);
    return detail;
  }

  drawAnswer() {
    const answer = this.known.answers.get(this.number);
    const facts = answer?.facts ?? [];
    put(this.facts, facts.join(" · "));
    this.page.hidden = !answer?.page;
    if (answer?.page) this.page.href = answer.page;
    this.beside.hidden = !facts.length && !answer?.page;
    const prompt = this.known.prompts.size > 1 ? (answer?.prompt ?? "") : "";
    put(this.prompt, prompt);
    this.prompt.hidden = !prompt;
    const whole = answer?.text || (answer?.ended === false ? "" : (this.drawn?.line ?? ""));
    const { scrollHeight, scrollTop, clientHeight } = this.text;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < 24;
    if (whole.startsWith(this.node.data)) this.node.appendData(whole.slice(this.node.length));
    else this.node.data = whole;
    this.text.classList.toggle("empty", !whole);
    if (isAtEnd && answer?.ended === false) this.text.scrollTop = this.text.scrollHeight;
  }

  isReached(is) {
    this.opener.tabIndex = this.stop.tabIndex = is ? 0 : -1;
  }

  toggle() {
    if (this.known.facts.answers) toggle(this.model, this.number);
  }

  cancel() {
    if (!this.known.canceled.has(this.number)) cancel(this.model, this.number);
  }

  remove() {
    this.row.remove();
    this.detail?.remove();
    this.detail = null;
  }
}

// A request of a large batch that has not begun: nothing was sent of it.
const WAITING = { kind: "waiting", word: "waiting", params: {} };

// -- parts -------------------------------------------------------------------------------------

function cell(className, content) {
  const made = make("td", className);
  made.append(content); // a text becomes a text node
  if (typeof content === "string") made.title = content;
  return made;
}

function radio(group, value) {
  const label = make("label");
  label.append(make("input", "", { type: "radio", name: group, value }), make("span"));
  return label;
}

// Such as 40 s, 3 min, 2 h 5 min: what is guessed is not told to the second.
function roughly(seconds) {
  if (seconds < 55) return `${Math.max(Math.ceil(seconds / 5) * 5, 1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// When that is, by the reader's own clock.
function clock(left_s) {
  const time = new Date(Date.now() + left_s * 1000);
  const day = left_s > 80000 ? { day: "numeric", month: "short" } : {};
  return time.toLocaleString([], { hour: "2-digit", minute: "2-digit", hour12: false, ...day });
}
