"""How soon a kernel answers a cell while a batch runs behind it, beside one with nothing to do.

`python tests/bench/batch_kernel.py [HOW_MANY [CONCURRENCY [CELLS]]]` prints the milliseconds from
asking for a small cell to its answer. The kernel is a real one, with a page at its other end; the
server's predictions take 200 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jupyter_client.manager import start_new_kernel

HERE = Path(__file__).parent
LASTS_S = 0.2
PAUSE_S = 0.05


def answered_ms(client):
    """How long a small cell takes to its end, as the page sees it."""
    began_s = time.perf_counter()
    asked = client.execute("sum(range(1000))")
    while True:
        message = client.get_iopub_msg(timeout=30)
        ours = message["parent_header"].get("msg_id") == asked
        if ours and message["content"].get("execution_state") == "idle":
            return (time.perf_counter() - began_s) * 1000


def times_ms(client, cells):
    found = []
    for _ in range(cells):
        found.append(answered_ms(client))
        time.sleep(PAUSE_S)
    return found


def printed(client, code):
    texts = []
    client.execute_interactive(
        code, output_hook=lambda it: texts.append(it["content"].get("text", "")), timeout=60
    )
    return "".join(texts).strip()


def main(many=2_000, concurrency=64, cells=60):
    server = subprocess.Popen(
        [sys.executable, HERE / "batch_server.py", str(LASTS_S)], stdout=subprocess.PIPE, text=True
    )
    base = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ, "REPLICATE_BASE_URL": base, "REPLICATE_API_TOKEN": "r8_none",
            "REPLICATE_MAGIC_HOME": home, "JPY_SESSION_NAME": "bench.ipynb",
        }  # fmt: skip
        manager, client = start_new_kernel(env=environment)
        try:
            printed(
                client, "%load_ext replicate_magic\n%config ReplicateMagics.most_requests = 10**6"
            )
            printed(client, "%%replicate acme/poet --repeat 2 -q\nwarm")
            alone = times_ms(client, cells)
            rows = f"{{{{range({many})}}}}"
            printed(
                client,
                f"%%replicate acme/poet --rows {rows} --bg --concurrency {concurrency} -o job\n"
                "{{row}}",
            )
            beside = times_ms(client, cells)
            done = printed(client, "print(job.tally.ended, job.done)")
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            server.kill()
    print(f"{many:,} predictions, {concurrency} at a time; after the last cell ended, done: {done}")
    print(f"{'':18}{'median':>10}{'90 %':>10}{'worst':>10}  ms")
    for name, found in (("alone", alone), ("beside the batch", beside)):
        late = statistics.quantiles(found, n=10)[-1]
        print(f"{name:18}{statistics.median(found):10.1f}{late:10.1f}{max(found):10.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
