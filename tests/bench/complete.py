"""How long a completion takes in a real kernel: the first one, and those after it.

`python tests/bench/complete.py [ROWS] [ROUNDS]` prints medians, for a history of ROWS runs (100,000
unless told) and for none. The API is an address that takes connections and never answers. Cold is
the first completion of a fresh kernel but for one of Python, with and without the extension loaded.
"""

from __future__ import annotations

import os
import random
import socket
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from jupyter_client.manager import start_new_kernel

sys.path.insert(0, str(Path(__file__).parent))
from figure import Figure
from history import prediction

from replicate_magic.runs.store import Store

WARM = (
    "%%replicate ",
    "%%replicate lla",
    "%%replicate local/smollm2-135m-instruct ",
    "%%replicate local/smollm2-135m-instruct temperature=",
    "%%replicate nobody/knows ",
    "%%replicate a/b --file /",
    "%%replicate a/b\nHello {{na",
    "%%replicate a/b\nHello wor",
    "%replicate ",
    "%replicate runs model=",
    "%replicate attach ",
    "%replicate attach 0000",
    "%replicate resume ",
    "%replicate plot ",
)


def complete(client, text: str) -> tuple[float, int]:
    """Milliseconds, and how much was offered."""
    began = time.perf_counter()
    client.complete(text, len(text))
    reply = client.get_shell_msg(timeout=60)["content"]
    return (time.perf_counter() - began) * 1e3, len(reply["matches"])


def one_kernel(home: str, api: str, *, loaded: bool) -> dict[str, tuple[float, int]]:
    names = {"REPLICATE_MAGIC_HOME": home, "REPLICATE_BASE_URL": api, "REPLICATE_API_TOKEN": "r8_x"}
    manager, client = start_new_kernel(env={**os.environ, **names})
    try:
        if loaded:
            client.execute("%load_ext replicate_magic", reply=True)
        complete(client, "impo")
        times = {"cold": complete(client, WARM[0])}
        for text in WARM:
            complete(client, text)
        time.sleep(2)  # what these have begun comes to its end
        for text in WARM:
            several = [complete(client, text) for _ in range(5)]
            times[text] = statistics.median(ms for ms, _ in several), several[-1][1]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return times


def fill(home: str, rows: int) -> None:
    dice = random.Random(7)
    store = Store.open(Path(home) / "history.db")
    records = (prediction(number, dice) for number in range(rows))
    while some := list(islice(records, 2_000)):
        store.save_all(some)
    store.close()


def measure(rows: int = 100_000, rounds: int = 3) -> list[Figure]:
    found = {}
    with socket.create_server(("127.0.0.1", 0)) as silent, tempfile.TemporaryDirectory() as folder:
        api = f"http://127.0.0.1:{silent.getsockname()[1]}"
        full, empty = f"{folder}/full", f"{folder}/empty"
        fill(full, rows)
        for loaded, home in ((True, empty), (True, full), (False, empty), (False, full)):
            runs = [one_kernel(home, api, loaded=loaded) for _ in range(rounds)]
            what = "loaded" if loaded else "not loaded"
            many = rows if home == full else 0
            cold = [run["cold"][0] for run in runs]
            found[f"the first completion, {what}, {many:,} runs"] = statistics.median(cold)
            offers = statistics.median(run["cold"][1] for run in runs)
            print(f"{what}, {many:,} runs: cold {statistics.median(cold):.1f} ms", end="")
            print(f" (up to {max(cold):.1f}), {offers:.0f} offers")
        warm = {text: statistics.median(run[text][0] for run in runs) for text in WARM}
        for text, ms in warm.items():
            print(f"  {text!r:60}{ms:8.1f} ms{runs[0][text][1]:6} offers")
    found[f"the slowest of those after it, {rows:,} runs"] = max(warm.values())
    return [Figure(name=name, ours=ms, unit="ms") for name, ms in found.items()]


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
