"""How long it takes to take a cell of many requests apart: their drafts, without sending any."""

from __future__ import annotations

import time

import pandas as pd
from figure import Figure

from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.many import call_items, call_many, cell_items, cell_many
from replicate_magic.cell.plan import read_target
from replicate_magic.runs.frame import rows_from

MANY = 10_000
TARGET = (read_target("acme/a"),)
FRAME = pd.DataFrame({
    "text": [f"text {n} " + "words " * 200 for n in range(MANY)], "n": range(MANY),
    "score": [n / 7 for n in range(MANY)],
})  # fmt: skip
BODY = "Sum up in {{words}} words, for the {{row.n}}th time:\n\n{{row.text}}\n" + "More. " * 200


def of_a_cell(text, body):
    line, names = parse_line(text), {"df": FRAME, "words": 20}

    def evaluate(source):
        return eval(source, names)

    return cell_items(cell_many(TARGET, line, evaluate, rows_from), line, body, evaluate)


CASES = {
    "a cell's grid of 100 by 100": lambda: of_a_cell(
        "--grid a={{range(100)}} --grid b={{range(100)}} n=5", "Hi {{words}}"
    ),
    "a cell's rows": lambda: of_a_cell("--rows df score={{row.score}} n=5", BODY),
    "a call's rows": lambda: call_items(
        call_many(TARGET, rows=rows_from(FRAME)),
        {"prompt": BODY.replace("{{words}}", "20"), "score": "{{row.score}}"},
    ),
    "repeats": lambda: call_items(call_many(TARGET, repeat=MANY), {"prompt": BODY}),
}


def measure():
    found = []
    for name, items in CASES.items():
        began = time.perf_counter()
        count = sum(1 for _ in items())
        seconds = time.perf_counter() - began
        print(f"{name:28}{count:8,} requests {seconds:8.3f} s")
        found.append(Figure(name=f"{count:,} requests of {name}", ours=seconds, unit="s"))
    return found


if __name__ == "__main__":
    measure()
