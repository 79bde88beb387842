"""Creates under a rate limit: ours, the official client's and a bare loop's, beside its own time.

`python tests/bench/rate_limit.py [CREATES [RATE [BURST [CONCURRENCY]]]]` asks the tests' own
Replicate, which holds a token bucket, for so many predictions, and prints until when the last was
accepted, how much longer that is than the limit's own time, and how many creates it refused. Then
the same where answers have no headers, so that only refusals tell (in whole seconds), and what the
limiter costs where there is no limit.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from figure import Figure
from rate_limits import Bucket, Limits
from replicate_server import Replicate

from replicate_magic.api.answers import Allowance
from replicate_magic.api.client import Client, open_pool
from replicate_magic.api.create import Conduct
from replicate_magic.api.limiter import Limiter
from replicate_magic.api.predict import predict
from replicate_magic.api.protocol import Create, model_request
from replicate_magic.cell.plan import read_target

POET = read_target("acme/poet")


async def at_a_time(some: int, count: int, one) -> None:
    """So many workers, each taking the next one."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(work() for _ in range(some)))


async def ours(server: Replicate, count: int, concurrency: int) -> None:
    """Each prediction to its end, as a batch does; the model is looked up first."""
    async with open_pool() as pool:
        client = Client(pool, base=f"{server.url}/v1", token=server.token)
        await client.send(model_request(POET))

        async def one(number: int) -> None:
            now_s = asyncio.get_running_loop().time()
            conduct = Conduct(began_s=now_s, deadline_s=now_s + 600, stream=False)
            create = Create(target=POET, input={"prompt": str(number)})
            assert await predict(client, create, conduct, lambda _: None)

        await at_a_time(concurrency, count, one)


async def official(server: Replicate, count: int, concurrency: int) -> None:
    """The official client does not send a refused create again; whoever uses it waits a second."""
    import replicate
    from replicate.exceptions import ReplicateError

    client = replicate.Client(api_token=server.token, base_url=server.url)

    async def one(number: int) -> None:
        while True:
            try:
                await client.models.predictions.async_create(
                    "acme/poet", input={"prompt": str(number)}
                )
            except ReplicateError as error:
                if error.status != 429:
                    raise
                await asyncio.sleep(1)
            else:
                return

    await at_a_time(concurrency, count, one)


async def bare(server: Replicate, count: int, concurrency: int) -> None:
    """A loop that waits as each refusal asks."""
    url = f"{server.url}/v1/models/acme/poet/predictions"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {server.token}"}) as http:

        async def one(number: int) -> None:
            while True:
                answer = await http.post(url, json={"input": {"prompt": str(number)}}, timeout=60)
                if answer.status_code != 429:
                    return
                await asyncio.sleep(answer.json()["retry_after"])

        await at_a_time(concurrency, count, one)


def measured(way, limits: Limits, count: int, concurrency: int) -> float:
    with Replicate() as server:
        server.limits = limits
        asyncio.run(way(server, count, concurrency))
        creates = server.seen("create")
        assert len(server.predictions) == count
        connections = server.connections
    took_s = creates[-1].at_s - creates[0].at_s
    bucket = limits.create
    own_s = max(count - bucket.burst, 0) / bucket.rate_s
    refused = limits.refused.get("create", 0)
    print(
        f"  {way.__name__:<9} {took_s:7.2f} s   {took_s / own_s:5.3f} times   "
        f"{refused:4} refused ({refused / count:.1%})   {connections} connections"
    )
    return took_s


def cost(rounds: int = 20_000) -> float:
    """Microseconds a request, where answers tell that much is left."""

    async def go() -> float:
        limiter = Limiter(documented=False)
        allowance = Allowance(limited=True, remaining=599, reset_s=1.0)
        began = time.perf_counter()
        for _ in range(rounds):
            place = await limiter.admit("create")
            limiter.drop(place)
            limiter.learn(place, allowance)
        return (time.perf_counter() - began) / rounds * 1e6

    return asyncio.run(go())


def measure(
    count: int = 200, rate_s: int = 20, burst: int = 5, concurrency: int = 8
) -> list[Figure]:
    found = []
    own_s = (count - burst) / rate_s
    print(f"{count} creates, {concurrency} at a time, {rate_s} a second, burst {burst}: {own_s} s")
    for headers in (True, False):
        print("answers tell what is left" if headers else "refusals alone tell, in whole seconds")
        took_s = {}
        for way in (ours, official, bare):
            limits = Limits(create=Bucket(rate_s, burst), headers=headers)
            took_s[way] = measured(way, limits, count, concurrency)
        name = f"{count} creates, {rate_s} a second allowed"
        name += "" if headers else ", told by refusals"
        peers = {"the limit's own time": own_s, "official client": took_s[official]}
        found += [
            Figure(name=name, ours=took_s[ours], unit="s", beside=peer, peer=seconds)
            for peer, seconds in peers.items()
        ]
    cost_us = cost()
    print(f"the limiter's own time: {cost_us:.1f} µs a request")
    return [*found, Figure(name="the limiter, a request", ours=cost_us, unit="µs")]


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))
