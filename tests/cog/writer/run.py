"""A model of the tests' own that streams words, logs, measures, and fails when it is told to."""

from __future__ import annotations

import os
import time

import cog


class Runner(cog.BaseRunner):
    def setup(self):
        print("the writer wakes", flush=True)
        time.sleep(float(os.environ.get("SETUP_S", "0")))
        if why := os.environ.get("SETUP_FAILS"):
            raise RuntimeError(why)

    @cog.streaming
    def run(
        self,
        prompt: str = cog.Input(description="What to write about."),
        words: int = cog.Input(description="How many.", default=3, ge=1, le=1000),
        pause_s: float = cog.Input(description="Between two of them.", default=0.0, ge=0),
        voice: str = cog.Input(default="plain", choices=["plain", "loud"]),
        fails: bool = cog.Input(default=False),  # noqa: FBT001  (an input as Cog has it)
    ) -> cog.ConcatenateIterator[str]:
        print(f"writing about {prompt}", flush=True)
        for number in range(words):
            word = f"{prompt} {number} "
            yield word.upper() if voice == "loud" else word
            time.sleep(pause_s)
        self.record_metric("output_token_count", words)
        if fails:
            raise ValueError("out of words")
