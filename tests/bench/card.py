"""The live card in JupyterLab beside `ipywidgets.HTML`, `print` and a bare reader of the stream.

`python tests/bench/card.py [TOKENS [PER_SECOND]]` prints a table. Each way shows the same stream in
a notebook of its own, in headless Chromium. Bytes are those of the kernel's WebSocket, from the
cell's start to its end; the last token's time runs from the server's write to the page's frame in
which it is there; CPU is the kernel's, beside a process that only reads. Then come the times from
a click or an interrupt to the cancel at the server, and from a cell's start to the card's first
frame.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from figure import Figure
from playwright.sync_api import sync_playwright
from stream_cpu import measured
from token_server import LAST

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[0]))
sys.path.insert(0, str(HERE.parents[0] / "browser"))

from front_end import WAIT_S, Notebook  # noqa: E402
from jupyter_app import ARGUMENTS, CHROMIUM, Kind, Server  # noqa: E402
from replicate_server import Replicate, become, hold, say  # noqa: E402

READ = """
import asyncio, httpx, time
async def tokens():
    async with httpx.AsyncClient(timeout=60) as client:
        made = await client.post(BASE + "/v1/models/bench/tokens/predictions", json={"input": {}})
        async with client.stream("GET", made.json()["urls"]["stream"]) as response:
            name = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: ") and name == "output":
                    yield line[6:]
"""
HTML = """
import html, ipywidgets
async def show():
    widget, parts, last_s = ipywidgets.HTML(), [], 0.0
    display(widget)
    async for token in tokens():
        parts.append(token)
        if time.monotonic() - last_s > 0.05:
            widget.value, last_s = html.escape("".join(parts)), time.monotonic()
    widget.value = html.escape("".join(parts))
await show()
"""
PRINT = """
async for token in tokens():
    print(token, end="")
"""
WAYS = {
    "the card": ("%%replicate bench/tokens\nhi", ".replicate-card .answer"),
    "ipywidgets.HTML, 20 Hz": (HTML, ".jupyter-widgets"),
    "print": (PRINT, ".jp-OutputArea-output pre"),
}
WATCH = """([place, last]) => {
  window.watched = { seen_ms: null, tasks: [] };
  new PerformanceObserver((list) => {
    for (const task of list.getEntries())
      window.watched.tasks.push([task.duration, window.watched.seen_ms !== null]);
  }).observe({ type: "longtask" });
  const look = () => {
    let node = document.querySelector(place);
    while (node?.lastChild) node = node.lastChild;
    if (node?.data?.slice(-100).includes(last)) window.watched.seen_ms = Date.now();
    else requestAnimationFrame(look);
  };
  look();
}"""
PATIENCE_S = 240


@contextmanager
def opened(browser, server, cells, environment):
    """A notebook, open in Lab."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(WAIT_S * 1000)
    notebook = Notebook(server, context, cells, shots=Path(tempfile.gettempdir()))
    try:
        notebook.open(f"__import__('os').environ.update({environment!r})")
        yield notebook
    finally:
        notebook.close()


def one_way(browser, server, way: str, tokens: subprocess.Popen, base: str) -> dict:
    """Show one stream in one way; what it cost."""
    cell, place = WAYS[way]
    cells = [f"BASE = {base!r}\n{READ}", cell]
    with opened(browser, server, cells, {"REPLICATE_BASE_URL": base}) as nb:
        nb.run(0)
        nb.wait_idle()
        nb.page.evaluate(WATCH, [place, LAST])
        cpu_s = float(nb.value("time.process_time()"))
        messages = len(nb.received)
        nb.run(1)
        written_s = float(tokens.stdout.readline())
        nb.wait_idle(PATIENCE_S)
        nb.page.wait_for_function("() => window.watched.seen_ms", timeout=PATIENCE_S * 1000)
        cpu_s = float(nb.value("time.process_time()")) - cpu_s
        watched = nb.page.evaluate("window.watched")
        return {
            "messages": len(nb.received) - messages,
            "bytes": sum(nb.received[messages:]),
            "last_s": watched["seen_ms"] / 1000 - written_s,
            "longest_ms": max((ms for ms, _ in watched["tasks"]), default=0),
            "tasks": watched["tasks"],
            "cpu_s": cpu_s,
        }


CLICK = """() => {
  const at = Date.now();
  [...document.querySelectorAll(".replicate-card button")].at(-1).click();
  return at;
}"""
FIRST_FRAME = """() => {
  window.first_ms = null;
  const began = Date.now();
  const look = () => {
    if (document.querySelector(".replicate-card .phase")?.textContent)
      window.first_ms = Date.now() - began;
    else requestAnimationFrame(look);
  };
  look();
}"""


def reactions(browser, server, rounds: int) -> dict[str, list[float]]:
    """Seconds from a click, and an interrupt, to the cancel; from the start to the first frame."""
    times: dict[str, list[float]] = {"click": [], "interrupt": [], "first frame": []}
    with Replicate() as replicate:
        replicate.tells(say("Hello"), hold(), become("succeeded"))
        environment = {
            "REPLICATE_BASE_URL": replicate.url,
            "REPLICATE_API_TOKEN": replicate.token,
        }
        ways = ["click", "interrupt"] * rounds
        with opened(browser, server, ["%%replicate acme/poet\nhi"], environment) as nb:
            for number, way in enumerate(["click", *ways]):  # the first is cold
                nb.page.evaluate(FIRST_FRAME)
                nb.run(0)
                nb.page.locator(".replicate-card .answer", has_text="Hello").wait_for()
                if way == "click":
                    asked_s = nb.page.evaluate(CLICK) / 1000
                else:
                    asked_s = time.time()
                    nb.interrupt()
                cancel = replicate.wait_for("cancel", number + 1)[-1]
                nb.wait_idle()
                if number:
                    times[way].append(cancel.at_s + time.time() - time.monotonic() - asked_s)
                    times["first frame"].append(nb.page.evaluate("window.first_ms") / 1000)
    return times


def figures(costs, times, tokens: int) -> list[Figure]:
    """The card beside the other two ways to show a stream, and what has no peer."""
    card, found = costs.pop("the card"), []
    for beside, other in costs.items():
        for what, key, unit, times_by in (
            ("bytes to the page", "bytes", "MB", 1e-6),
            ("the last token's way to the page", "last_s", "s", 1),
            ("the kernel's CPU time", "cpu_s", "s", 1),
        ):
            mine, theirs = card[key] * times_by, other[key] * times_by
            name = f"{tokens:,} tokens: {what}"
            found.append(Figure(name=name, ours=mine, unit=unit, beside=beside, peer=theirs))
    for name, key, asked_ms in (
        ("from a click on Cancel to the cancel at the server", "click", None),
        ("from an interrupt to the cancel at the server", "interrupt", 500),
        ("from a cell's start to the card's first frame", "first frame", None),
    ):
        middle_ms = statistics.median(times[key]) * 1e3
        found.append(Figure(name=name, ours=middle_ms, unit="ms", asked=asked_ms))
    return found


def measure(tokens: int = 100_000, per_second: int = 5_000, rounds: int = 5) -> list[Figure]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        server = Server(Kind(), Path(tempfile.mkdtemp()))
        command = [sys.executable, str(HERE / "token_server.py"), str(tokens), str(per_second)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as source:
            base = source.stdout.readline().strip()
            bare_s = measured("bare httpx reader", base)
            source.stdout.readline()
            costs = {way: one_way(browser, server, way, source, base) for way in WAYS}
            source.stdin.close()
        times = reactions(browser, server, rounds)
        server.stop()
        browser.close()
    text_bytes = 5 * tokens
    print(f"{tokens:,} tokens at {per_second:,} a second; a bare reader takes {bare_s:.2f} s CPU")
    print(f"{'':24}{'messages':>9}{'bytes':>9}{'last token':>12}{'longest task':>14}{'CPU':>8}")
    for way, cost in costs.items():
        print(
            f"{way:24}{cost['messages']:9,}{cost['bytes'] / text_bytes:8.2f}x"
            f"{cost['last_s']:10.2f} s{cost['longest_ms']:11.0f} ms{cost['cpu_s'] / bare_s:7.2f}x"
        )
    for what, seconds in times.items():
        print(
            f"{what:24}{statistics.median(seconds) * 1000:7.0f} ms, at most "
            f"{max(seconds) * 1000:.0f} ms, of {len(seconds)}"
        )
    return figures(costs, times, tokens)


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
