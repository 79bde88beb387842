"""CPU time per streamed token, ours beside a bare httpx reader of the same stream.

`python tests/bench/stream_cpu.py [TOKENS [PER_SECOND [ROUNDS]]]` prints the medians and the ratios.
Each reader is a process of its own, and counts its own CPU time from its first byte to its end.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from figure import Figure

HERE = Path(__file__).parent


def bare(base: str) -> float:
    """The least there is: httpx, and nothing done with what comes."""
    import asyncio

    import httpx

    async def read() -> float:
        async with httpx.AsyncClient() as client:
            model = f"{base}/v1/models/bench/tokens/predictions"
            made = (await client.post(model, json={"input": {"prompt": "hi"}})).json()
            began = time.process_time()
            async with client.stream("GET", made["urls"]["stream"]) as response:
                async for _ in response.aiter_bytes():
                    pass
            return time.process_time() - began

    return asyncio.run(read())


def ours(base: str, *, view: str) -> float:
    """A whole run: decoded, folded, shown ten times a second, closed."""
    os.environ["REPLICATE_BASE_URL"] = base
    from replicate_magic import session
    from replicate_magic.cell.plan import Draft, read_target
    from replicate_magic.order import Conditions
    from replicate_magic.views import Look, NoView
    from replicate_magic.views.text import TextView

    shown = TextView(io.StringIO(), Look(), live=True) if view == "text" else NoView()
    here = session.the_session()
    target, draft = read_target("bench/tokens"), Draft(inputs={}, prompt="hi")
    here.dry_run(target, draft, Conditions())  # imports and the schema are not the stream
    began = time.process_time()
    job = here.drive(target, draft, Conditions(), shown)
    shown.close(job.prediction)
    return time.process_time() - began


READERS = {
    "bare httpx reader": bare,
    "run, silent": lambda base: ours(base, view="none"),
    "run, text view": lambda base: ours(base, view="text"),
}


def measured(reader: str, base: str) -> float:
    command = [sys.executable, __file__, "--read", reader, base]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(tokens: int = 25_000, per_second: float = 5_000, rounds: int = 3) -> list[Figure]:
    found = []
    command = [sys.executable, str(HERE / "token_server.py"), str(tokens), str(per_second)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        base = server.stdout.readline().strip()
        times = {reader: [] for reader in READERS}
        for _ in range(rounds):
            for reader, seconds in times.items():
                seconds.append(measured(reader, base))
        server.stdin.close()
    print(f"{tokens:,} tokens at {per_second:,.0f} a second, medians of {rounds}")
    base_s = statistics.median(times["bare httpx reader"])
    for reader, seconds in times.items():
        middle = statistics.median(seconds)
        print(
            f"{reader:<20} {middle / tokens * 1e6:6.1f} us a token   {middle / base_s:5.2f} times"
        )
        name, bare_us = f"CPU time of a streamed token: {reader}", base_s / tokens * 1e6
        found.append(
            Figure(
                name=name, ours=middle / tokens * 1e6, unit="µs", beside="bare httpx reader",
                peer=bare_us,
            )
        )  # fmt: skip
    return found[1:]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        print(READERS[sys.argv[2]](sys.argv[3]))
    else:
        measure(*map(int, sys.argv[1:]))
