"""From a cell's start to its request at the server, in a real kernel, cold and warm; start-up cost.

`python tests/bench/first_cell.py [ROUNDS]` prints medians. Cold is the first `%%replicate` of a
fresh kernel, with the magic known by the startup file alone. The clock is the system's monotonic
one, which the kernel and the server share.
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

from figure import Figure
from jupyter_client.manager import start_new_kernel

sys.path.insert(0, str(Path(__file__).parents[1]))
from replicate_server import Replicate

WATCH = """
import time
starts = []
get_ipython().events.register("pre_run_cell", lambda info: starts.append(time.monotonic()))
"""
STARTUP = """
import pathlib, sys, time
path = pathlib.Path(sys.prefix, "etc/ipython/startup/50-replicate-magic.py")
source = compile(path.read_text(), "s", "exec")
began = time.perf_counter(); exec(source); print(time.perf_counter() - began)
"""
OURS = "import sys; print(sum(name.startswith('replicate_magic') for name in sys.modules))"


def printed(client, code: str) -> str:
    texts: list[str] = []

    def note(message) -> None:
        texts.append(message["content"].get("text", ""))

    client.execute_interactive(code, output_hook=note, timeout=60)
    return "".join(texts).strip()


def one_kernel(server: Replicate) -> dict[str, float]:
    environment = {
        **os.environ,
        "REPLICATE_BASE_URL": server.url,
        "REPLICATE_API_TOKEN": server.token,
        "JPY_SESSION_NAME": "bench.ipynb",  # as in a page: the answer is drawn while it grows
    }
    manager, client = start_new_kernel(env=environment)
    try:
        loaded = int(printed(client, OURS))
        startup_s = float(printed(client, STARTUP))
        printed(client, WATCH)
        before = len(server.seen("create"))
        for _ in range(3):
            printed(client, "%%replicate acme/poet\nhi")
        sent = [request.at_s for request in server.seen("create")[before:]]
        starts = [float(word) for word in printed(client, "print(*starts)").split()][:3]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    cold, _, warm = (sent_s - start_s for sent_s, start_s in zip(sent, starts, strict=True))
    return {"modules loaded": loaded, "startup file": startup_s, "cold": cold, "warm": warm}


def measure(rounds: int = 5) -> list[Figure]:
    with Replicate() as server:
        runs = [one_kernel(server) for _ in range(rounds)]
    print(f"medians of {rounds} kernels")
    print(f"our modules in a bare kernel     {max(run['modules loaded'] for run in runs):.0f}")
    found = []
    for what, name in (
        ("startup file", "what the startup file adds to a kernel's start"),
        ("cold", "from the first cell's start to its request"),
        ("warm", "from a later cell's start to its request"),
    ):
        ms = statistics.median(run[what] for run in runs) * 1e3
        print(f"{what:<24} {ms:10.2f} ms")
        found.append(Figure(name=name, ours=ms, unit="ms"))
    return found


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
