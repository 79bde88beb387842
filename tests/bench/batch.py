"""A thousand predictions at once, beside the official client and a bare loop of httpx.

`python tests/bench/batch.py [HOW_MANY [CONCURRENCY]]` prints the seconds, the ratio to what the
predictions themselves take, and the requests that each way sends. Every way runs in a process of
its own, against a server in another; the server's predictions take 200 ms.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

LASTS_S = 0.2
HERE = Path(__file__).parent


def ours(many, concurrency):
    import replicate_magic as rm

    frame = rm.batch(
        "acme/poet", rows=[f"row {n}" for n in range(many)], prompt="{{row}}",
        concurrency=concurrency,
    )  # fmt: skip
    assert (frame["status"] == "succeeded").all()
    assert len(frame) == many


def bare(many, concurrency):
    """httpx and nothing else, which asks when the prediction must have ended."""

    async def one(client, places):
        async with places:
            made = (await client.post("/v1/models/acme/poet/predictions", json=BODY)).json()
            await asyncio.sleep(LASTS_S * 1.04)
            while True:
                raw = (await client.get(f"/v1/predictions/{made['id']}")).json()
                if raw["status"] == "succeeded":
                    return raw
                await asyncio.sleep(0.03)

    async def all_of_them():
        async with httpx.AsyncClient(base_url=os.environ["REPLICATE_BASE_URL"]) as client:
            places = asyncio.Semaphore(concurrency)
            found = await asyncio.gather(*(one(client, places) for _ in range(many)))
            assert len(found) == many

    asyncio.run(all_of_them())


def official(many, concurrency):
    """The client's own way: `async_run` under a semaphore."""
    import replicate

    client = replicate.Client(
        api_token="r8_none", base_url=os.environ["REPLICATE_BASE_URL"], timeout=60
    )
    client.poll_interval = 0.1

    async def one(places):
        async with places:
            made = await client.models.predictions.async_create(
                "acme/poet", input=BODY["input"], wait=False
            )
            await made.async_wait()
            assert made.status == "succeeded"

    async def all_of_them():
        places = asyncio.Semaphore(concurrency)
        await asyncio.gather(*(one(places) for _ in range(many)))

    asyncio.run(all_of_them())


BODY = {"input": {"prompt": "x"}}
WAYS = {"ours": ours, "bare httpx": bare, "official client": official}


def measured(way, many, concurrency):
    """Its seconds from the first create, its requests, and its memory, in a process of its own."""
    server = subprocess.Popen(
        [sys.executable, HERE / "batch_server.py", str(LASTS_S)], stdout=subprocess.PIPE, text=True
    )
    base = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ, "REPLICATE_BASE_URL": base, "REPLICATE_API_TOKEN": "r8_none",
            "REPLICATE_MAGIC_HOME": home,
        }  # fmt: skip
        child = [sys.executable, __file__, "--way", way, str(many), str(concurrency)]
        ran = subprocess.run(child, env=environment, capture_output=True, text=True, check=False)
    seen = httpx.get(f"{base}/seen").json()
    server.kill()
    if ran.returncode:
        sys.exit(ran.stderr)
    return {**json.loads(ran.stdout.splitlines()[-1]), **seen}


def run_way(way, many, concurrency):
    import resource

    WAYS[way](concurrency, concurrency)  # imports, connections: what a second batch finds there
    base_kb, began_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    began_cpu_s = time.process_time()
    WAYS[way](many, concurrency)
    took_s = time.perf_counter() - began_s
    more_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base_kb
    cpu_s = time.process_time() - began_cpu_s
    print(json.dumps({"took_s": took_s, "more_kb": more_kb, "cpu_s": cpu_s}))


def main(many=1_000, concurrency=64):
    least_s = many * LASTS_S / concurrency
    print(f"{many:,} predictions of {LASTS_S} s, {concurrency} at a time: at least {least_s:.2f} s")
    print(
        f"{'':18}{'s':>8}{'x least':>9}{'CPU s':>8}"
        f"{'requests each':>15}{'connections':>13}{'MB':>8}"
    )
    for way in WAYS:
        found = measured(way, many, concurrency)
        each = (found["create"] + found["get"]) / (many + concurrency)
        print(
            f"{way:18}{found['took_s']:8.2f}{found['took_s'] / least_s:9.2f}{found['cpu_s']:8.2f}"
            f"{each:15.2f}{found['connections']:13}{found['more_kb'] / 1000:8.1f}"
        )


def measure():
    """For the table of all benches."""
    from figure import Figure

    many, at_a_time = 1_000, 64
    took_s = {way: measured(way, many, at_a_time)["took_s"] for way in WAYS}
    name, mine = f"{many:,} predictions of {LASTS_S} s, {at_a_time} at a time", took_s.pop("ours")
    least_s = many * LASTS_S / at_a_time
    return [
        Figure(name=name, ours=mine, unit="s", beside="the least", peer=least_s, asked=1.2),
        *(Figure(name=name, ours=mine, unit="s", beside=way, peer=s) for way, s in took_s.items()),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        run_way(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(*map(int, sys.argv[1:3]))
