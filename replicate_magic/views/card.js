// The page's side of the live card. `card.py` sends frames, each what is new; the model keeps the
// whole, so that every view of it, also one that is opened later, shows the same.
//
// All text comes from outside: it becomes text nodes, never markup. The one piece of markup, the
// answer of a card that stays, is made and sanitised by the kernel.

const BLOCK = 2000; // characters: layout costs a block, however long the answer is
const LONGEST = 8000; // without a line's end in it
const NEAR = 24; // pixels from the end that still count as reading along
const PHASES = new Set([
  "starting", "sending", "running", "streaming", "saving",
  "succeeded", "failed", "canceled", "aborted",
]);

export default { initialize, render };

// -- the model: frames become its values -----------------------------------------------------

function initialize({ model }) {
  let heard_ms = performance.now();
  let asked_ms = -Infinity;

  const ask = () => {
    // One question is enough, however long a busy kernel takes; it may have been lost, though.
    if (performance.now() - asked_ms < SILENCE_MS) return;
    asked_ms = performance.now();
    send(model, {
      ask: "news",
      text: model.get("text").length,
      logs: model.get("logs").length,
      files: model.get("files").length,
      edition: model.get("edition"),
    });
  };
  const stamp = () => {
    const state = model.get("state");
    state.at_ms ??= performance.now();
  };
  const hear = (frame, buffers) => {
    heard_ms = performance.now();
    if (frame.html !== undefined) asked_ms = -Infinity; // it is the answer
    model.set("lost", false);
    if (!apply(model, frame, buffers ?? [])) ask();
  };
  const cutOff = () => {
    // The kernel was restarted, or the connection to it anew: an answer tells that it is the latter.
    model.set("lost", true);
    asked_ms = -Infinity;
    ask();
  };
  const listen = setInterval(() => {
    const running = model.get("state").over === false;
    if (running && performance.now() - heard_ms > SILENCE_MS) ask(); // a frame may have been lost
  }, 1000);

  stamp();
  model.on("change:state", stamp);
  model.on("msg:custom", hear);
  model.on("comm_live_update", cutOff);
  return () => {
    clearInterval(listen);
    model.off("comm_live_update", cutOff);
    model.off("change:state", stamp);
    model.off("msg:custom", hear);
  };
}

// Whether the frame fits what is known; it may overlap, and must not leave a gap.
function apply(model, frame, buffers) {
  if (frame.heard) model.set("heard", true);
  if (frame.edition !== undefined && frame.edition !== model.get("edition")) {
    model.set("edition", frame.edition);
    model.set("text", ""); // it begins anew
  }
  let fits = true;
  for (const name of ["text", "logs", "files"]) {
    if (!frame[name]) continue;
    const [offset, more] = frame[name];
    const known = model.get(name);
    if (offset > known.length) {
      fits = false;
      continue;
    }
    const pieces = name === "files" ? more.map((one, n) => ({ ...one, data: buffers[n] })) : more;
    const fresh = pieces.slice(known.length - offset);
    if (fresh.length) model.set(name, known.concat(fresh));
  }
  if (frame.html) model.set("html", frame.html);
  if (frame.state) model.set("state", { ...frame.state });
  return fits;
}

// -- a view ----------------------------------------------------------------------------------

function render({ model, el }) {
  el.classList.add("replicate-widget", "replicate-card");
  // Enter and Space belong to the focused button, not to the notebook's own shortcuts.
  el.dataset.lmSuppressShortcuts = "true";
  const top = make("div", "top");
  const dot = make("span", "dot", { ariaHidden: "true" });
  const line = make("span", "line");
  const name = make("span", "name");
  const phase = make("span", "phase", { role: "status" });
  const facts = make("span", "facts");
  const page = make("a", "page", { target: "_blank", rel: "noopener noreferrer" });
  page.textContent = "run";
  line.append(name, phase, facts, page);
  const copy = button("Copy", "Copy the answer");
  const cancel = button("Cancel", "Cancel this prediction. Interrupting the kernel does the same.");
  top.append(dot, line, copy, cancel);
  const bar = make("progress", "bar", { max: 100, ariaLabel: "progress, as the logs tell" });
  const way = make("div", "way");
  const moved = make("progress", "bar", { max: 100, ariaLabel: "files on their way" });
  const which = make("span", "which");
  way.append(moved, which);
  const note = make("div", "note");
  const answer = make("div", "answer", { role: "region", ariaLabel: "Answer", tabIndex: 0 });
  const pictures = make("div", "pictures");
  const why = make("div", "why", { role: "alert" });
  const logs = make("details", "logs");
  const summary = make("summary");
  const lines = make("div", "lines", { role: "region", ariaLabel: "Logs", tabIndex: 0 });
  logs.append(summary, lines);
  el.append(top, bar, way, note, answer, pictures, why, logs);

  const text = new Text(answer);
  const printed = new Text(lines);
  let drawn = 0; // pictures
  let clicked_ms = 0;
  const urls = [];

  const drawState = () => {
    const state = model.get("state");
    const lost = model.get("lost") && !state.over;
    const word = lost ? "disconnected" : (state.phase ?? "starting");
    const known = PHASES.has(word) ? word : "other";
    if (dot.dataset.phase !== known) dot.dataset.phase = known;
    el.setAttribute("aria-busy", String(!state.over && !lost));
    put(name, state.name ?? "");
    put(phase, word);
    page.hidden = !state.page;
    if (state.page) page.href = state.page;
    bar.hidden = state.percent == null;
    if (state.percent != null) bar.value = state.percent;
    drawWay(lost ? null : state.moving);
    put(why, state.why ?? "");
    why.hidden = !state.why;
    cancel.hidden = Boolean(state.over || lost);
    tick();
    drawLogs();
  };

  // Time is told here: no message is sent for it.
  const tick = () => {
    const state = model.get("state");
    const since_s = (performance.now() - (state.at_ms ?? performance.now())) / 1000;
    const parts = [...(state.times ?? [])];
    if (state.going) parts.push(`${lasting(state.going[0])} ${duration(state.going[1] + since_s)}`);
    parts.push(...(state.measured ?? []));
    if (state.percent != null) parts.push(`${state.percent} %`);
    put(facts, parts.join(" · "));
    put(note, state.waiting ? waiting(state.waiting, since_s) : "");
    note.hidden = !state.waiting;
    drawCancel();
  };

  const drawWay = (moving) => {
    way.hidden = !moving;
    if (!moving) return;
    const [words, percent] = moving;
    put(which, words);
    if (percent == null) moved.removeAttribute("value");
    else moved.value = percent;
  };

  const drawCancel = () => {
    if (!clicked_ms && !model.get("heard")) return;
    const late = performance.now() - clicked_ms >= ACKNOWLEDGED_MS;
    const heard = model.get("heard");
    put(cancel, heard || !late ? "Canceling…" : "Interrupt the kernel to cancel");
    cancel.setAttribute("aria-disabled", String(Boolean(heard)));
  };

  const drawText = () => {
    if (model.get("html")) return;
    text.show(model.get("text"));
    answer.hidden = copy.hidden = !model.get("text");
  };

  const drawMarkup = () => {
    const markup = model.get("html");
    if (!markup) return;
    answer.classList.add("jp-RenderedHTMLCommon", "whole");
    answer.innerHTML = markup; // sanitised by the kernel
    answer.hidden = false;
  };

  const drawLogs = () => {
    const all = model.get("logs");
    const latest = model.get("state").log;
    logs.hidden = !all && !latest;
    if (logs.open) printed.show(all);
    put(summary, latest && !logs.open ? `logs: ${latest}` : "logs");
  };

  const drawPictures = () => {
    for (const { type, data, label } of model.get("files").slice(drawn)) {
      const picture = make("img", "", { alt: label, title: label });
      picture.src = URL.createObjectURL(new Blob([data], { type }));
      urls.push(picture.src);
      pictures.append(picture);
      drawn += 1;
    }
  };

  const click = () => {
    if (model.get("heard")) return;
    clicked_ms = performance.now();
    for (const after_ms of SAY_AT_MS) setTimeout(askToCancel, after_ms);
    drawCancel();
    setTimeout(drawCancel, ACKNOWLEDGED_MS);
  };
  const askToCancel = () => {
    if (!model.get("heard")) send(model, { ask: "cancel" });
  };
  const copied = async () => {
    put(copy, (await toClipboard(model.get("text"))) ? "Copied" : "Not allowed here");
    setTimeout(() => put(copy, "Copy"), 1500);
  };

  const draws = {
    "change:state": drawState,
    "change:lost": drawState,
    "change:heard": drawCancel,
    "change:text": drawText,
    "change:html": drawMarkup,
    "change:logs": drawLogs,
    "change:files": drawPictures,
  };
  for (const [event, draw] of Object.entries(draws)) {
    model.on(event, draw);
    draw();
  }
  cancel.addEventListener("click", click);
  copy.addEventListener("click", copied);
  logs.addEventListener("toggle", drawLogs);
  const clock = setInterval(() => {
    if (!model.get("state").over && !model.get("lost")) tick();
  }, 100);

  return () => {
    clearInterval(clock);
    for (const [event, draw] of Object.entries(draws)) model.off(event, draw);
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

// Text that grows at its end, in blocks of lines: only the last block is laid out anew. It follows
// its end, unless the reader has scrolled up.
class Text {
  constructor(box) {
    this.box = box;
    this.length = 0;
    this.follows = true;
    this.touched_ms = -Infinity;
    for (const event of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      box.addEventListener(event, () => (this.touched_ms = performance.now()), { passive: true });
    }
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  // Pages that take the box out and put it back scroll it too; only a hand's scrolling counts.
  scrolled() {
    if (this.isAtEnd()) this.follows = true;
    else if (performance.now() - this.touched_ms < 1000) this.follows = false;
  }

  show(whole) {
    if (whole.length < this.length) {
      this.box.replaceChildren();
      this.length = 0;
    }
    if (whole.length === this.length) return;
    this.append(whole.slice(this.length));
    this.length = whole.length;
    this.follow();
  }

  // Blocks that were out of sight have their true height only frames after they came into it.
  follow(frames = 5) {
    if (!this.follows) return;
    this.box.scrollTop = this.box.scrollHeight;
    if (frames) requestAnimationFrame(() => this.follow(frames - 1));
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.box;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  append(more) {
    let last = this.box.lastChild?.firstChild;
    while (more) {
      if (!last || last.full) {
        const block = make("div", "block");
        last = document.createTextNode("");
        block.append(last);
        this.box.append(block);
      }
      const room = end(more, BLOCK - last.length);
      last.appendData(more.slice(0, room));
      last.full = room < more.length || last.length >= LONGEST;
      more = more.slice(room);
    }
  }
}

// How much of a text goes into a block: to the first line's end after `room`, if there is one soon.
function end(text, room) {
  const newline = text.indexOf("\n", Math.max(room, 0));
  if (newline >= 0 && newline < LONGEST) return newline + 1;
  if (text.length <= LONGEST) return text.length;
  const blank = text.lastIndexOf(" ", LONGEST);
  const cut = blank > BLOCK ? blank + 1 : LONGEST;
  return isHigh(text.charCodeAt(cut - 1)) ? cut - 1 : cut;
}

function isHigh(unit) {
  return unit >= 0xd800 && unit < 0xdc00; // the first half of a character: no cut behind it
}

function lasting(phase) {
  return phase === "queued" ? "queued or booting" : phase;
}

function waiting([reason, left_s], since_s) {
  const rest = Math.ceil(left_s - since_s);
  return rest > 0 ? `${reason}, again in ${rest} s` : reason;
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
