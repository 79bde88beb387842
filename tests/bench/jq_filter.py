"""A filter over many predictions, ours beside the jq command line on the same lines.

`python tests/bench/jq_filter.py [N [ROUNDS]]` prints medians and ratios. The command line is the jq
of the installed library's own sources, built with -O2 once and kept in the user's cache folder.
Both are told to keep a row or not; the command line also writes the rows that it keeps, as it does
in a pipe. The lines are in memory for us and in the page cache for the command line. They are told
to be trusted, as those of the history are, except where a way says that they are not.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from figure import Figure

PROGRAM = 'select(.status=="succeeded" and .metrics.predict_time > 2)'


def built_cli() -> Path:
    """The jq command line of the sources that the installed library was built from.

    Raises RuntimeError that says what is missing.
    """
    kept = Path(platformdirs.user_cache_dir("replicate-magic-tests")) / f"jq-of-{version('jq')}"
    if kept.exists():
        return kept
    if not (shutil.which("make") and (shutil.which("cc") or shutil.which("gcc"))):
        raise RuntimeError("there is no C compiler to build the jq command line with")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        try:
            built_in(Path(folder)).replace(kept)
        except (subprocess.CalledProcessError, OSError, IndexError) as error:
            told = getattr(error, "stderr", None) or str(error)
            raise RuntimeError(f"the jq command line cannot be built: {told[-2000:]}") from error
    return kept


def built_in(folder: Path) -> Path:
    def run(*command: str, cwd: Path = folder) -> None:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)

    wanted = ["--no-binary", "jq", "--no-deps", f"jq=={version('jq')}"]
    run(sys.executable, "-m", "pip", "download", "-q", *wanted)
    unpacked_in(folder, next(iter(folder.glob("jq-*.tar.gz"))))
    unpacked_in(folder, next(iter(folder.glob("jq-*/deps/jq-*.tar.gz"))))
    [source] = [path.parent for path in folder.glob("jq-*/configure")]
    options = ["--disable-maintainer-mode", "--disable-docs", "--disable-shared"]
    run("./configure", "--with-oniguruma=builtin", *options, "CFLAGS=-O2", cwd=source)
    run("make", "-j2", cwd=source)
    return source / "jq"


def unpacked_in(folder: Path, archive: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")


def predictions(count: int) -> list[str]:
    """Synthetic predictions of about 2 KB: most streamed text, some images, some failed."""
    rng = random.Random(7)
    return [json.dumps(prediction(rng)) for _ in range(count)]


def prediction(rng: random.Random) -> dict[str, object]:
    ident = f"{rng.getrandbits(130):026x}"
    ok = rng.random() < 0.93
    tokens = [rng.choice([" the", " a", "ing", ",", " été", " model"]) for _ in range(110)]
    images = [f"https://replicate.delivery/pbxt/{ident}{n}/out.png" for n in range(4)]
    took = round(rng.expovariate(0.4), 6)
    return {
        "id": ident,
        "model": rng.choice(["meta/meta-llama-3-8b-instruct", "black-forest-labs/flux-schnell"]),
        "version": f"{rng.getrandbits(256):064x}",
        "status": "succeeded" if ok else rng.choice(["failed", "canceled"]),
        "input": {"prompt": "Sum up what follows. " * 12, "temperature": 0.7, "seed": 2**53 + 1},
        "output": (tokens if rng.random() < 0.75 else images) if ok else None,
        "error": None if ok else "CUDA out of memory",
        "logs": "Loading weights\n" + " 50%|█████     | 5/10\n" * rng.randrange(12),
        "metrics": {"predict_time": took, "total_time": took + 0.1} if ok else {},
        "urls": {"get": f"https://api.replicate.com/v1/predictions/{ident}"},
        "created_at": "2026-01-01T00:00:00.123456Z",
        "completed_at": "2026-01-01T00:00:09.123456Z",
        "data_removed": False,
    }


def timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(count: int = 100_000, rounds: int = 3) -> list[Figure]:
    from figure import Figure

    from replicate_magic.runs import jq

    cli, documents = built_cli(), predictions(count)
    few = documents[:1000]
    print(f"{count:,} predictions of {sum(map(len, documents)) / count:,.0f} characters")
    with tempfile.TemporaryDirectory() as folder:
        lines, kept = Path(folder, "lines"), Path(folder, "kept")
        lines.write_text("".join(f"{document}\n" for document in documents), "utf-8")

        def by_cli() -> None:
            with kept.open("wb") as out:
                subprocess.run([cli, "-c", PROGRAM, lines], stdout=out, check=True)

        ways = {
            "jq command line, -c": by_cli,
            "matches": lambda: jq.matches(PROGRAM, iter(documents), trusted=True),
            "matches, not trusted": lambda: jq.matches(PROGRAM, iter(documents)),
            "matches, 1,000 rows": lambda: jq.matches(PROGRAM, few, trusted=True),
            "matches, 1,000 not trusted": lambda: jq.matches(PROGRAM, few),
            "mapped to {id, status}": lambda: jq.mapped(
                "{id, status}", iter(documents), trusted=True
            ),
            "together, group_by(.model)": lambda: jq.together(
                "group_by(.model) | map({n: length})", documents
            ),
        }
        jq.matches(PROGRAM, few)
        times = {way: [] for way in ways}
        for _ in range(rounds):
            for way, work in ways.items():
                times[way].append(timed(work))
        assert kept.read_bytes().count(b"\n") == sum(jq.matches(PROGRAM, documents).flags)
    medians = {way: statistics.median(each) for way, each in times.items()}
    for way, middle in medians.items():
        print(f"{way:28} {middle * 1e3:8.0f} ms")
    ratio = medians["jq command line, -c"] / medians["matches"]
    print(f"matches runs at {ratio:.2f} x the command line's speed")
    return [
        Figure(
            name=f"a jq filter over {count:,} predictions", ours=medians["matches"], unit="s",
            beside="the jq command line", peer=medians["jq command line, -c"],
        )
    ]  # fmt: skip


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
