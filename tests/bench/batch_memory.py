"""What a batch takes of memory: for each prediction that is open, and while rows go through.

`python tests/bench/batch_memory.py [FEW MANY [ROWS]]` prints kB for each open prediction, as the
difference of two batches that wait, and the memory of the process while a generator's rows go
through a batch. Every figure is of a process of its own, against a server in another. It reads
/proc, and so wants Linux.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

HERE = Path(__file__).parent
AT_ONCE = 200  # open in one batch


def rss_kb():
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmRSS:")[1].split()[0])


def begin(rows, concurrency):
    """A batch in the background."""
    from replicate_magic import batching
    from replicate_magic.batches import _order

    order = _order(
        "acme/poet", rows, None, 1, None, {"prompt": "{{row}}"}, concurrency, None,
        cached=False, tag=None, log=True, save=True, force=False, max_cost=None,
    )  # fmt: skip
    return batching.begin(order, batching.NoBatchView(), lambda _: None, keep_going=True)


def long_ago():
    """An earlier run that took an hour: those that are open are not asked about meanwhile.

    Asked about like any model that nobody knows, so many would wait for the account's rate limit.
    """
    from replicate_magic.runs.history import the_history
    from replicate_magic.runs.record import Record

    raw = {
        "id": "earlier", "model": "acme/poet", "status": "succeeded", "metrics": {},
        "created_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T01:00:00Z",
    }  # fmt: skip
    the_history().save(Record(raw=raw, origin="https://x/v1", model="acme/poet"))


def warm():
    """Imports, connections and caches: what any later batch finds there."""
    import replicate_magic as rm

    rm.run("acme/poet", prompt="warm", timeout=5)


def open_ones(many, how):
    """The memory with so many predictions open, all of them created and asked about."""
    long_ago()
    if how == "tracemalloc":
        tracemalloc.start()
    jobs = []
    while (left := many - sum(job.tally.total for job in jobs)) > 0:
        some = min(left, AT_ONCE)
        jobs.append(begin([f"row {n}" for n in range(some)], some))
        while sum(bool(entry.prediction.id) for entry in jobs[-1].tally.entries) < some:
            time.sleep(0.05)
    time.sleep(3)
    gc.collect()
    found = tracemalloc.get_traced_memory()[0] / 1024 if how == "tracemalloc" else rss_kb()
    print(json.dumps({"kb": found}), flush=True)
    os._exit(0)  # their ends would take longer


def rows_through(many):
    """The memory while the rows of a generator go through a batch, and what its result keeps."""
    words = "An answer of some words. " * 20
    warm()
    began_kb = rss_kb()
    job = begin((f"row {n} {words}" for n in range(many)), 64)
    seen = [(0, began_kb)]
    step = many // 10
    while not job.done:
        if job.tally.ended >= len(seen) * step:
            gc.collect()
            seen.append((job.tally.ended, rss_kb()))
        time.sleep(0.01)
    gc.collect()
    ended_kb = rss_kb()
    print(json.dumps({"seen": seen, "ended_kb": ended_kb, "result_kb": result_kb(job)}), flush=True)
    os._exit(0)


def result_kb(job):
    """What the entries and the rows of the result take, by copying them."""
    import pickle

    told = pickle.dumps((list(job.tally.entries), dict(job._batch.requests.asked)))
    gc.collect()
    tracemalloc.start()
    kept = pickle.loads(told)
    found = tracemalloc.get_traced_memory()[0] / 1024
    del kept
    return found


WAYS = {"open": open_ones, "rows": rows_through}


def measured(lasts_s, way, *arguments):
    """What a process of its own prints, against a server whose predictions last so long."""
    server = subprocess.Popen(
        [sys.executable, HERE / "batch_server.py", str(lasts_s)], stdout=subprocess.PIPE, text=True
    )
    base = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ, "REPLICATE_BASE_URL": base, "REPLICATE_API_TOKEN": "r8_none",
            "REPLICATE_MAGIC_HOME": home,
        }  # fmt: skip
        child = [sys.executable, __file__, "--way", way, *map(str, arguments)]
        ran = subprocess.run(child, env=environment, capture_output=True, text=True, check=False)
    server.kill()
    if ran.returncode:
        sys.exit(ran.stderr)
    return json.loads(ran.stdout.splitlines()[-1])


def main(few=200, many=2_000, rows=10_000):
    print(f"{few:,} and {many:,} predictions open: kB for each that is more")
    for how in ("RSS", "tracemalloc"):
        found = [measured(3_600, "open", number, how)["kb"] for number in (few, many)]
        each = (found[1] - found[0]) / (many - few)
        print(f"  {how:14}{found[0] / 1024:8.1f} MB{found[1] / 1024:8.1f} MB{each:8.1f} kB each")
    print(
        f"{rows:,} rows of a generator, 64 at a time: MB of the process, by rows that went through"
    )
    found = measured(0, "rows", rows)  # a GET each would wait for the rate limit
    for ended, kb in found["seen"]:
        print(f"  {ended:8,}{kb / 1024:8.1f}")
    print(
        f"  at the end {found['ended_kb'] / 1024:.1f} MB, of it in the result "
        f"{found['result_kb'] / 1024:.1f} MB"
    )


def measure(few=200, many=2_000, rows=10_000):
    """For the table of all benches."""
    from figure import Figure

    few_kb, many_kb = (measured(3_600, "open", number, "RSS")["kb"] for number in (few, many))
    each_kb = (many_kb - few_kb) / (many - few)
    through = measured(0, "rows", rows)
    steady_kb = through["seen"][1][1]  # once connections and caches are there
    grown_mb = (through["ended_kb"] - steady_kb) / 1024
    return [
        Figure(name="an open prediction, of memory", ours=each_kb, unit="kB", asked=50),
        Figure(
            name=f"{rows:,} rows of a generator: what memory grows by", ours=grown_mb, unit="MB",
            beside="its result", peer=through["result_kb"] / 1024,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        way, number, *rest = sys.argv[2:]
        WAYS[way](int(number), *rest)
    else:
        main(*map(int, sys.argv[1:4]))
