"""Hostile text in every view, in a real browser: nothing runs, nothing is fetched."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import nbconvert
import pytest
from corpus import LARGE, OUTSIDE, PAGE, deep
from replicate_server import Model, answer, become, changed, hold, log, openapi, say

pytestmark = pytest.mark.browser

# What payloads call. `hacks` cannot be replaced by an element of that name, nor by an assignment.
HOOK = """
(() => {
  const calls = [];
  const hacked = (...what) => void calls.push(`${location.href} ${what} ${new Error().stack}`);
  Object.defineProperty(window, "hacked", { value: hacked });
  Object.defineProperty(window, "hacks", { value: () => calls });
})();
"""
# What no output of ours has: elements and attributes that act, and addresses of other kinds.
AUDIT = r"""
roots => roots.flatMap(root => [...root.querySelectorAll("*")]).flatMap(one => {
  const wrong = [];
  const tag = one.localName;
  const acting = "script iframe object embed applet form base meta link frame audio video portal";
  if (acting.split(" ").includes(tag)) wrong.push(`<${tag}>`);
  if (tag === "style" && !one.nextElementSibling?.matches("table.dataframe"))  // pandas' own
    wrong.push("<style>");
  for (const { name, value } of one.attributes) {
    if (name.startsWith("on")) wrong.push(`${tag} ${name}`);
    if (["srcset", "srcdoc", "ping", "formaction", "background", "poster", "data"].includes(name))
      wrong.push(`${tag} ${name}`);
    if (["id", "name"].includes(name) && /^(jupyterapp|hacks|rig|document)$/.test(value))
      wrong.push(`${tag} ${name}=${value}`);
    if (/evil\.example/.test(value) && name === "style") wrong.push(`${tag} ${name}=${value}`);
    if (name === "src" && !/^(data:image\/|blob:)/.test(value))
      wrong.push(`${tag} ${name}=${value}`);
    // ":" is of what is no address at all; the page itself makes links of what is printed
    const kinds = ["http:", "https:", "mailto:", ":"];
    if (one.closest(".jp-RenderedText")) kinds.push("data:", "file:");
    if (/href$/.test(name) && !kinds.includes(one.protocol)) wrong.push(`${tag} ${name}=${value}`);
  }
  if (tag === "a" && one.href && one.target === "_blank" && !/noopener/.test(one.rel))
    wrong.push(`a without noopener: ${one.href}`);
  const isPages = one.matches(".jp-OutputArea > .jp-OutputArea-promptOverlay");  // Notebook's own
  if (getComputedStyle(one).position === "fixed" && !isPages) wrong.push(`${tag} is fixed`);
  return wrong;
})
"""
REACHABLE = """
area => {
  const { left, top } = area.getBoundingClientRect();
  const there = document.elementFromPoint(left + 5, top + 5);
  return Boolean(there && area.closest(".jp-Cell").contains(there));
}
"""


@dataclass
class Watch:
    """What happens in a page that a payload could be behind."""

    nb: object
    events: list = field(default_factory=list)

    def __post_init__(self):
        page, context = self.nb.page, self.nb.page.context
        home = urlsplit(self.nb.url).netloc
        page.on("dialog", self._asked_something)
        page.on("popup", lambda popup: self.events.append(f"popup {popup.url}"))
        page.on("download", lambda it: self.events.append(f"download {it.url}"))
        page.on("frameattached", lambda _: self.events.append("a frame"))
        page.on("framenavigated", lambda frame: self._moved(frame, page.url))
        page.on("websocket", lambda socket: self._asked(socket.url, home))
        context.on("request", lambda request: self._asked(request.url, home))

    def _asked_something(self, dialog):
        if dialog.type != "beforeunload":  # the page's own, "Leave this page?"
            self.events.append(f"dialog {dialog.message}")

    def _moved(self, frame, url):
        if frame.parent_frame is None and urlsplit(url).netloc != urlsplit(self.nb.url).netloc:
            self.events.append(f"moved to {url}")

    def _asked(self, url, home):
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob", "about"} and parts.netloc != home:
            self.events.append(f"request {url}")
        if OUTSIDE in url:
            self.events.append(f"request of a payload {url}")

    def look(self, what):
        """Nothing has happened, and no element of any output could make it happen."""
        page = self.nb.page
        page.wait_for_timeout(50)  # events of what was just put there
        areas = page.locator(".jp-Cell-outputArea")
        wrong = page.evaluate(AUDIT, areas.element_handles())
        assert (what, sorted(set(wrong))) == (what, [])
        assert (what, self.events) == (what, [])
        assert (what, self.nb.outside) == (what, [])
        calls = [frame.evaluate("window.hacks?.() ?? []") for frame in page.frames]
        assert (what, [call for one in calls for call in one]) == (what, [])


PAYLOADS = list(PAGE.values())
WHOLE = "\n\n".join(PAYLOADS)
SAID = WHOLE.encode(errors="replace").decode()  # a stream of bytes has no half characters
MOVED = {"web": "javascript:hacked(1)", "stream": None}
SETUP = """
import sys, warnings
sys.path.insert(0, {tests!r})
from corpus import *
import replicate_magic as rm
from IPython import get_ipython
magic = get_ipython().run_cell_magic
payloads = list(PAGE.values())
sendable = [one.encode(errors="replace").decode() for one in payloads]
groups = [{"text": "\\n".join(sendable[n::8])} for n in range(8)]

def tried(work, *args, **named):
    try:
        return work(*args, **named)
    except Exception as error:
        if not named.get("show"):  # what is drawn tells it
            print(error)

def drawn(payloads):
    for one in payloads:
        tried(rm.run, "acme/poet", prompt=one, show=True, tag=one)
"""
CELLS = {
    "setup": SETUP,
    "card": "%%replicate acme/poet --keep-widget\nWrite.",
    **{f"each {n}": f"drawn(sendable[{n}::4])" for n in range(4)},  # Lab draws 50 outputs of a cell
    "formats": "for form in 'markdown html text json'.split(): "
    "tried(magic, 'replicate', f'acme/poet -f {form}', 'x')",
    "tree": "%%replicate acme/tree\nWrite.",
    "deep": "%%replicate acme/tree\nWrite.",
    "large": "drawn(LARGE.values())",
    "pictures": "%%replicate acme/painter\nDraw.",
    "batch": "%%replicate acme/poet acme/sketch --rows groups --keep-going -o df\n{{row.text}}",
    "frame": "df",
    "runs": "%replicate runs",
    "mapped": "%replicate runs --map '{(.input.prompt // \"x\"): .error, logs}' limit=40",
    "stats": "%replicate stats",
    "info": "%replicate info acme/evil",
    "status": "%replicate status",
    "shown again": "ids = list(rm.runs(limit=24)['id'])\nfor one in ids: display(rm.show(one))",
    "code": "for one in ids: display(rm.code(one))",
    "differences": "for pair in zip(ids, ids[1:]): display(rm.diff(*pair))",
    "called": "for path in '/account', '/models/acme/evil', '/predictions':\n"
    "    display(rm.call_api('GET', path))",
    "searched": "rm.search('evil')",
    "aliases": "import json\nnames = {f'a{n}': one for n, one in enumerate(payloads)}\n"
    "for name, one in names.items(): tried(rm.alias, **{name: one})\nrm.alias()",
    "told": "for one in payloads:\n"
    "    line = one.replace('\\n', ' ')\n"
    "    for said in ('help ', 'info ', 'runs ', 'attach ', 'run ', 'runs --', 'runs model='):\n"
    "        tried(get_ipython().run_line_magic, 'replicate', said + line)\n"
    "    tried(magic, 'replicate', f'acme/poet {line}', 'x')\n"
    "    tried(magic, 'replicate', 'acme/poet --dry-run --raw', one)",
    "jq": "for one in payloads:\n"
    "    tried(rm.jq([{'a': one}]).map, one)\n"
    "    tried(rm.jq([{'a': one}]).map, 'error(.a)')",
    "error of the model": "%%replicate acme/poet\nWrite.",
    "error of the API": "%%replicate acme/poet\nWrite.",
    "error of the cell": "%replicate run '<img src=x onerror=hacked(1)>' x",
    "explore": "%replicate explore",
    "alive": "print('still ' + 'alive')",
    "watched": "from IPython.display import HTML\n"
    "HTML('<img src=x onerror=hacked(1)><img src=https://evil.example/seen>')",
}
NUMBERS = {name: number for number, name in enumerate(CELLS)}


def story(payload, *, fails=False):
    """A prediction all of whose words are hostile."""
    said = payload.encode(errors="replace").decode()
    metrics = {payload: 1, "predict_time": payload}
    end = {"urls": MOVED, "model": payload, "version": payload, "metrics": metrics}
    status = {"status": "failed", "error": payload} if fails else {"status": "succeeded"}
    return (log(said), say(said), become(**status, output=[payload], **end))


@pytest.fixture
def hostile(replicate):
    """A Replicate whose models, account and answers are all hostile."""
    words = {payload[:2_000]: {"type": "string", "description": payload, "title": payload,
             "default": payload, "x-order": n} for n, payload in enumerate(PAYLOADS)}  # fmt: skip
    kinds = {"enum": {"type": "string", "enum": PAYLOADS, "description": WHOLE}}
    replicate.models["acme/evil"] = Model(
        official=True, schema=openapi({"type": "string", "title": WHOLE}, **words, **kinds)
    )
    replicate.models["acme/tree"] = Model(official=True, schema=openapi({"type": "object"}))
    files = {"type": "array", "items": {"type": "string", "format": "uri"}}
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(files))
    account = changed(username=WHOLE[:500], name=WHOLE, type=PAYLOADS[0], github_url=PAYLOADS[0])
    replicate.fails("account", always=account)
    return replicate


def paint(replicate):
    """Pictures with hostile names, an SVG that acts, and a web page that says it is a picture."""
    acting = (
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='hacked(1)'>"
        b"<script>hacked(1)</script></svg>"
    )
    kinds = [("image/png", acting), ("image/svg+xml", acting), ("text/html", acting)]
    names = [quote(payload[:60], safe="") for payload in PAYLOADS[:36] if "\0" not in payload]
    replicate.files = {name: kinds[n % 3] for n, name in enumerate(names)}
    urls = [f"{replicate.other_url}/files/{name}" for name in names]
    return (become("succeeded", output=[*urls, *PAYLOADS, "data:image/svg+xml," + quote(acting)]),)


class Tour:
    """A notebook, one cell after another."""

    def __init__(self, nb, watch):
        self.nb, self.watch = nb, watch

    def start(self, name):
        self.nb.run(NUMBERS[name])
        return self.nb.output(NUMBERS[name])

    def run(self, name):
        output = self.start(name)
        self.nb.wait_idle()
        self.watch.look(name)
        return output


@pytest.fixture(params=["lab", "notebook"])
def tour(request, open_notebook, hostile):
    cells = [code.replace("{tests!r}", repr(str(Path(__file__).parent))) for code in CELLS.values()]
    nb = open_notebook(cells, request.param)
    nb.page.context.add_init_script(HOOK)
    nb.page.evaluate(HOOK)
    tour = Tour(nb, Watch(nb))
    tour.run("setup")
    return tour


def test_nothing_hostile_acts_in_any_view(tour, hostile, expect):
    """One page, since its start takes longer than most of what is looked at."""
    look_at_runs(tour, hostile, expect)
    look_at_a_batch(tour, hostile, expect)
    look_at_tables(tour, hostile)
    look_at_errors(tour, hostile)
    look_at_the_explorer(tour, expect)
    tour.nb.shot("hostile")
    look_at_what_stays(tour, expect)
    look_at_an_export(tour)
    assert_the_watch_sees(tour)


def look_at_runs(tour, hostile, expect):
    hostile.tells(log(SAID), say(SAID), hold(), *story(WHOLE, fails=True))
    card = tour.start("card").locator(".replicate-card")
    expect(card.locator(".answer")).to_contain_text("<script>")
    card.locator("summary").first.click()
    tour.watch.look("card, live")
    hostile.release()
    tour.nb.wait_idle()
    tour.watch.look("card, at its end")
    for n in range(4):
        hostile.tells_in_turn(*(story(one, fails=n == 0) for one in PAYLOADS[n::4]))
        tour.run(f"each {n}")
    hostile.tells(*story(WHOLE))
    tour.run("formats")
    hostile.tells(become("succeeded", output={one: [one, {one: one}] for one in PAYLOADS}))
    tour.run("tree")
    hostile.tells(become("succeeded", output=deep()))
    tour.run("deep")
    hostile.tells_in_turn(*(story(one) for one in LARGE.values()))
    tour.run("large")
    hostile.tells(*paint(hostile))
    tour.run("pictures")


def look_at_a_batch(tour, hostile, expect):
    before = len(hostile.seen("create"))
    hostile.tells(say(SAID), hold(), become("failed", error=WHOLE, urls=MOVED))
    hostile.tells_in_turn(*(story(one, fails=n % 3 == 0) for n, one in enumerate(PAYLOADS[:15])))
    table = tour.start("batch").locator(".replicate-batch")
    expect(table.locator("tbody tr")).to_have_count(16)
    hostile.wait_for("create", before + 16)
    tour.watch.look("batch, live")
    hostile.release()
    tour.nb.wait_idle()
    tour.watch.look("batch, at its end")


def look_at_tables(tour, hostile):
    for name in ("frame", "runs", "mapped", "stats"):
        tour.run(name)
    example = {"input": {"prompt": WHOLE}, "output": WHOLE}
    addresses = dict.fromkeys(("url", "license_url", "paper_url"), "javascript:hacked(1)")
    addresses |= {"github_url": PAYLOADS[0], "cover_image_url": f"https://{OUTSIDE}/c.png"}
    told = {"description": WHOLE, "run_count": WHOLE, "default_example": example, **addresses}
    hostile.fails("model", always=changed(**told))
    for name in ("shown again", "code", "differences"):
        tour.run(name)
    for name in ("info", "status", "called", "searched", "aliases"):
        tour.run(name)
    hostile.fails("model")


def look_at_errors(tour, hostile):
    tour.run("told")
    tour.run("jq")
    hostile.tells(*story(WHOLE, fails=True))
    tour.run("error of the model")
    fields = [{"field": WHOLE, "description": WHOLE}]
    refusal = answer(422, {"title": WHOLE, "detail": WHOLE, "invalid_fields": fields})
    hostile.fails("create", always=refusal)
    tour.run("error of the API")
    tour.run("error of the cell")


def look_at_the_explorer(tour, expect):
    explorer = tour.run("explore").locator(".replicate-explore")
    explorer.locator("tbody tr").nth(3).click()
    tour.watch.look("explorer, opened")
    program = explorer.get_by_role("textbox", name="jq")
    program.fill(f"error({json.dumps(PAGE['markup: image'])})")
    expect(explorer.locator(".note")).to_contain_text("<img src=x")
    program.fill(PAGE["markup: image"])
    expect(explorer.locator(".error")).to_contain_text("<img")
    explorer.get_by_text("map", exact=True).click()
    program.fill('{(.input.prompt // "x"): .input.prompt}')
    expect(explorer.locator("th").first).to_be_visible()
    tour.watch.look("explorer, asked")


def look_at_what_stays(tour, expect):
    """The page is alive, and the saved notebook is as quiet in a page that opens it."""
    for _ in range(2):
        alive = tour.nb.output(NUMBERS["alive"])
        tour.run("alive")
        expect(alive).to_have_text("still alive")
        alive.scroll_into_view_if_needed()
        assert alive.evaluate(REACHABLE)
        tour.nb.page.locator("mjx-container").first.wait_for(state="attached")  # it has typeset
        tour.watch.look("what stays")
        tour.nb.save()
        tour.nb.reload()


def look_at_an_export(tour):
    """What nbconvert makes of it: no page of Jupyter's, and nothing sanitises there."""
    markup, _ = nbconvert.HTMLExporter().from_filename(str(tour.nb.file))
    page = tour.nb.page.context.new_page()
    page.set_content(markup, wait_until="domcontentloaded")
    page.wait_for_timeout(500)
    assert page.locator("text=still alive").count() > 0
    assert page.evaluate("hacks()") == []
    assert [url for url in tour.nb.outside if OUTSIDE in url] == []
    page.close()


def assert_the_watch_sees(tour):
    """What all of this rests on: a payload that runs is noticed, and one that fetches."""
    seen = len(tour.watch.events)
    tour.start("watched")
    tour.nb.page.wait_for_function("hacks().length === 1")
    tour.nb.wait_idle()
    assert f"request https://{OUTSIDE}/seen" in tour.watch.events[seen:]
    with pytest.raises(AssertionError, match="onerror"):
        tour.watch.look("watched")
