"""All benches in one run, and one table of what they found beside their peers.

`python -m tests.bench [NAME …]` runs each module here that has a `measure() -> list[Figure]`, or
those that are named, in a process of its own each, one after the other. Each runs alone too, with
sizes of one's choice, and tells more: `python tests/bench/NAME.py`. An exclamation mark stands
where a figure is more than what is asked.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # where each has its neighbours when it runs alone

from figure import Figure  # noqa: E402

ONE = "--one"


def names() -> list[str]:
    found = [path.stem for path in HERE.glob("*.py") if "\ndef measure(" in path.read_text("utf-8")]
    return sorted(found)


def measured(name: str) -> list[Figure]:
    """What one bench finds; what it prints is shown only where it fails."""
    command = [sys.executable, "-m", "tests.bench", ONE, name]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return []
    return [Figure(**each) for each in json.loads(done.stdout)]


def tell(name: str) -> None:
    """As the child: the figures as JSON, and everything else to the standard error."""
    with redirect_stdout(sys.stderr):
        figures = import_module(name).measure()
    print(json.dumps([asdict(figure) for figure in figures]))


def amount(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{digits}f} {unit}"


def row(figure: Figure) -> str:
    theirs = "" if figure.peer is None else amount(figure.peer, figure.unit)
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x"
    asked = "" if figure.asked is None else f"{figure.asked:g} x"
    if figure.asked is not None and figure.peer is None:
        asked = amount(figure.asked, figure.unit)
    told = f"{figure.name:54}{amount(figure.ours, figure.unit):>11}{theirs:>11}  {figure.beside:24}"
    return f"{told}{ratio:>9}{asked:>10}{' !' if figure.missed else ''}"


def main(asked: list[str]) -> int:
    began, failed = time.perf_counter(), []
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, ", end="")
    print(f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}")
    print(f"{'':54}{'ours':>11}{'peer':>11}  {'':24}{'ratio':>9}{'asked':>10}")
    for name in asked or names():
        if not (figures := measured(name)):
            failed.append(name)
        for figure in figures:
            print(row(figure), flush=True)
    print(f"{time.perf_counter() - began:.0f} s", *(f"; {name} failed" for name in failed))
    return len(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        tell(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1:]))
