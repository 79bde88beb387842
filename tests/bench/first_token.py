"""First token shown and whole answer, ours beside the official client's stream, on one engine.

`python tests/bench/first_token.py [ROUNDS]` prints the medians and the ratios. Both ask the same
model for the same tokens (a fixed seed), in turn, against the embedded engine.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

from figure import Figure

MODEL = "local/smollm2-135m-instruct"
INPUT = {"prompt": "Write a short story about an otter.", "max_tokens": 80, "seed": 1}


class Watch:
    """A view that notes when it is first handed text."""

    wants_previews = False

    def __init__(self) -> None:
        self.first_s: float | None = None

    def update(self, prediction) -> None:
        if self.first_s is None and prediction.text:
            self.first_s = time.perf_counter()

    def on_cancel(self, cancel) -> None:
        """Nobody cancels."""

    def close(self, prediction, answer=None, *, why="") -> None:
        """Draw nothing."""


def ours() -> tuple[float, float]:
    from replicate_magic import session
    from replicate_magic.cell.plan import Draft, read_target
    from replicate_magic.order import Conditions

    watch = Watch()
    began = time.perf_counter()
    job = session.the_session().drive(read_target(MODEL), Draft(inputs=INPUT), Conditions(), watch)
    ended_s = time.perf_counter()
    assert job.prediction.ok
    return watch.first_s - began, ended_s - began


def official(client) -> tuple[float, float]:
    first_s = None
    began = time.perf_counter()
    for event in client.stream(MODEL, input=INPUT):
        if first_s is None and str(event):
            first_s = time.perf_counter()
    return first_s - began, time.perf_counter() - began


def measure(rounds: int = 15) -> list[Figure]:
    found = []
    import replicate

    import replicate_magic as rm

    with rm.serve() as engine:
        os.environ["REPLICATE_BASE_URL"] = engine.base_url
        os.environ["REPLICATE_API_TOKEN"] = engine.token
        client = replicate.Client(api_token=engine.token, base_url=engine.base_url)
        ours(), official(client)  # the model is loaded, connections are open
        pairs = [(ours(), official(client)) for _ in range(rounds)]
    print(f"medians of {rounds}, in turn")
    for number, what in enumerate(("first token shown", "whole answer")):
        mine = statistics.median(pair[0][number] for pair in pairs)
        theirs = statistics.median(pair[1][number] for pair in pairs)
        ratio = statistics.median(pair[0][number] / pair[1][number] for pair in pairs)
        print(
            f"{what:<18} ours {mine * 1e3:7.1f} ms   official {theirs * 1e3:7.1f} ms   "
            f"{mine / theirs:.3f} times ({ratio:.3f} pairwise)"
        )
        found.append(
            Figure(
                name=f"{what}, on the embedded engine", ours=mine * 1e3, unit="ms",
                beside="official client", peer=theirs * 1e3,
            )
        )  # fmt: skip
    return found


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
