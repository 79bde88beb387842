"""Recording a run, and the table of all runs beside `pd.json_normalize` of their documents.

`python tests/bench/history.py [N]` makes N predictions of about 2 KB (100,000 unless told): 70 %
with a list of tokens as output, 22 % images, 8 % a string. All reads are of the same file. Memory
is the highest of a process of its own, less what it has with pandas imported.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from figure import Figure
from replicate_server import Replicate, become, say

import replicate_magic as rm
from replicate_magic.runs.store import Query, Record, Store

ORIGIN = "https://api.replicate.com/v1"
WORDS = ["the", "otter", "swims", "slowly", "along", "a", "quiet", "river", "bank", "of", "stones"]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def prediction(number: int, dice: random.Random) -> Record:
    kind = dice.random()
    model, output, metrics, logs = (
        tokens(dice) if kind < 0.7 else images(dice) if kind < 0.92 else string(dice)
    )
    created = BEGAN + timedelta(seconds=30 * number)
    ok = dice.random() >= 0.07
    name = f"{number:08x}{dice.getrandbits(72):018x}"
    prompt = " ".join(dice.choices(WORDS, k=20))
    raw = {
        "id": name,
        "model": model,
        "version": f"{hash(model) & (1 << 64) - 1:064x}",
        "input": {"prompt": prompt, "temperature": 0.7, "max_tokens": 256, "seed": number},
        "output": output if ok else None,
        "error": None if ok else "Prediction interrupted; please retry (code: PA)",
        "logs": logs,
        "status": "succeeded" if ok else "failed",
        "created_at": created.isoformat().replace("+00:00", ".123456Z"),
        "started_at": (created + timedelta(seconds=1)).isoformat(),
        "completed_at": (created + timedelta(seconds=5)).isoformat(),
        "data_removed": False,
        "metrics": metrics if ok else {"predict_time": 0.1, "total_time": 1.1},
        "urls": {use: f"{ORIGIN}/predictions/{name}/{use}" for use in ("get", "cancel", "web")},
    }
    text = output if isinstance(output, str) else "".join(output)
    local = {"tag": "bench", "notebook": "runs.ipynb", "timings": {"created_after_s": 0.4}}
    return Record(
        raw=raw, model=model, origin=ORIGIN, local=local, prompt=prompt, output=text if ok else ""
    )


def tokens(dice: random.Random) -> tuple:
    output = [f" {word}" for word in dice.choices(WORDS, k=110)]
    metrics = {
        "predict_time": dice.uniform(0.2, 8),
        "total_time": dice.uniform(1, 12),
        "input_token_count": dice.randrange(500),
        "output_token_count": len(output),
        "tokens_per_second": dice.uniform(10, 120),
        "time_to_first_token": dice.uniform(0.05, 1),
    }
    return f"meta/llm-{dice.randrange(6)}", output, metrics, ""


def images(dice: random.Random) -> tuple:
    host = "https://replicate.delivery/xezq"
    output = [f"{host}/{dice.getrandbits(128):x}/out-{number}.webp" for number in range(3)]
    logs = "\n".join(f"{step * 4}%|{'#' * step:25}| {step}/25 [00:01<00:02]" for step in range(25))
    metrics = {"predict_time": dice.uniform(1, 9), "total_time": 9.5, "image_count": 3}
    return f"black-forest/image-{dice.randrange(3)}", output, metrics, logs


def string(dice: random.Random) -> tuple:
    output = " ".join(dice.choices(WORDS, k=250))
    return "someone/caption", output, {"predict_time": 1.5, "total_time": 2.5}, ""


def timed(what: str, work) -> float:
    began = time.perf_counter()
    work()
    taken_s = time.perf_counter() - began
    print(f"{what:56} {taken_s * 1000:10.1f} ms")
    return taken_s


def fill(store: Store, rows: int) -> None:
    dice = random.Random(7)
    size_bytes, taken_s = 0, []
    for number in range(rows):
        record = prediction(number, dice)
        size_bytes += len(json.dumps(record.raw))
        began = time.perf_counter()
        store.save(record)
        taken_s.append(time.perf_counter() - began)
    taken_s.sort()
    p99_s = taken_s[int(0.99 * rows)]
    print(f"{rows} predictions of {size_bytes / rows / 1000:.2f} KB on average")
    print(f"{'save, median':56} {statistics.median(taken_s) * 1000:10.3f} ms")
    print(f"{'save, p99 and longest':56} {p99_s * 1000:10.3f} {taken_s[-1] * 1000:10.1f} ms")
    print(
        f"{'the file':56} {store.size_bytes / 1e6:10.1f} MB for {size_bytes / 1e6:.1f} MB of JSON"
    )


def recording(runs: int = 150) -> float:
    """What history adds to a run: runs with it and without, in turns, on a server of our own."""
    times = {True: [], False: []}
    with Replicate() as server:
        os.environ |= {"REPLICATE_BASE_URL": server.url, "REPLICATE_API_TOKEN": server.token}
        server.tells(say("Hello", after_s=0), become("succeeded", after_s=0))
        for number in range(2 * runs):
            log = number % 2 == 0
            began = time.perf_counter()
            rm.run("acme/poet", prompt="x", log=log)
            times[log].append(time.perf_counter() - began)
    medians = {log: statistics.median(taken[5:]) * 1000 for log, taken in times.items()}
    print(f"{'a run without history, median':56} {medians[False]:10.2f} ms")
    print(f"{'what history adds to it':56} {medians[True] - medians[False]:10.2f} ms")
    return medians[True] - medians[False]


def measure(rows: int = 100_000) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REPLICATE_MAGIC_HOME"] = f"{folder}/small"
        adds_ms = recording()
        os.environ["REPLICATE_MAGIC_HOME"] = folder
        store = Store.open(Path(folder) / "history.db")
        fill(store, rows)
        ids = store.columns(Query())["id"]
        for _ in range(2):
            table_s = timed("rm.runs()", rm.runs)
            timed("rm.runs(limit=100)", lambda: rm.runs(limit=100))
            read_s = timed("documents of all, unparsed", lambda: sum(map(len, read(store, ids))))
            parsed_s = timed(
                "documents of all, parsed", lambda: list(map(json.loads, read(store, ids)))
            )
            normal_s = timed(
                "documents of all, parsed, pd.json_normalize",
                lambda: pd.json_normalize(list(map(json.loads, read(store, ids)))),
            )
            print(f"{'rm.runs() beside json_normalize':56} {normal_s / table_s:10.1f} times faster")
            print(f"{'rm.runs() beside parsing alone':56} {parsed_s / table_s:10.1f} times faster")
            print(f"{'of which reading':56} {read_s / parsed_s:10.0%}")
        memory = {what: memory_mb(what) for what in ("rm.runs()", NORMALIZED)}
        for what, more_mb in memory.items():
            print(f"{'memory of ' + what[-40:]:56} {more_mb:10.0f} MB over the base")
        timed("text= in all", lambda: store.count(Query(text="no such words")))
        timed("text= with a letter outside ASCII", lambda: store.count(Query(text="Ä")))
        timed("an id by its beginning", lambda: store.find("0000001"))
        timed("the unfinished", store.unfinished)
        timed("close", store.close)
        timed("open", lambda: Store.open(Path(folder) / "history.db").close())
    what, peer = f"the table of {rows:,} runs", "pd.json_normalize"
    return [
        Figure(name=what, ours=table_s, unit="s", beside=peer, peer=normal_s),
        Figure(name=what, ours=table_s, unit="s", beside="parsing their JSON", peer=parsed_s),
        Figure(
            name=f"{what}, memory", ours=memory["rm.runs()"], unit="MB", beside=peer,
            peer=memory[NORMALIZED],
        ),
        Figure(name="what keeping it adds to a run", ours=adds_ms, unit="ms"),
    ]  # fmt: skip


NORMALIZED = "pd.json_normalize(list(map(json.loads, rm.runs().jq.documents())))"
PEAK = """
import json, re
import pandas as pd, replicate_magic as rm
from pathlib import Path
from replicate_magic.runs.history import the_history
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3
len(rm.runs(limit=1)); base = peak(); kept = {what}; print(peak() - base)
"""


def memory_mb(what: str) -> float:
    """The highest memory of a process that makes this, over its own before; on Linux."""
    program = PEAK.format(what=what)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def read(store: Store, ids: list[str]):
    return store.documents((name, "") for name in ids)


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
