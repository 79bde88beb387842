"""A model of the tests' own that copies a file in steps, and does not stream."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cog


class Runner(cog.BaseRunner):
    def run(
        self,
        file: cog.Path = cog.Input(description="What to copy."),  # noqa: B008  (as Cog has it)
        steps: int = cog.Input(default=1, ge=1, le=1000),
        pause_s: float = cog.Input(default=0.0, ge=0),
        fails: bool = cog.Input(default=False),  # noqa: FBT001  (an input as Cog has it)
    ) -> cog.Path:
        data = Path(file).read_bytes()
        for step in range(steps):
            print(f"step {step + 1} of {steps}, {len(data)} bytes", flush=True)
            time.sleep(pause_s)
        if fails:
            raise ValueError("paper jam")
        copy = Path(tempfile.mkdtemp()) / f"copy{Path(file).suffix}"
        copy.write_bytes(data)
        return cog.Path(copy)
