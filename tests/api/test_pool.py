"""Connections: how many are made, which is used again, and when one is closed."""

import asyncio

import httpx
import pytest
from replicate_server import Replicate, late

from replicate_magic.api.client import open_pool
from replicate_magic.api.pool import Pool


@pytest.fixture
def server():
    with Replicate() as server:
        yield server


async def get(pool, server):
    async with pool.client(server.url) as http:
        credentials = {"authorization": f"Bearer {server.token}"}
        answer = await http.get(f"{server.url}/v1/account", headers=credentials)
        return answer.status_code


def pooled(work, **options):
    """Do some work with a pool that is closed after it."""

    async def go():
        async with Pool(httpx.AsyncClient, **options) as pool:
            return await work(pool)

    return asyncio.run(go())


def test_requests_one_after_the_other_use_one_connection(server):
    async def work(pool):
        for _ in range(20):
            await get(pool, server)

    pooled(work)
    assert server.connections == 1


def test_as_many_connections_are_made_as_requests_go_at_a_time_and_all_are_used_again(server):
    async def work(pool):
        for _ in range(5):
            await asyncio.gather(*(get(pool, server) for _ in range(40)))

    pooled(work)
    assert len(server.seen("account")) == 200
    assert server.connections == 40


def test_a_stream_of_another_origin_takes_no_connection_that_the_api_could_use(server):
    async def work(pool):
        await get(pool, server)
        async with pool.client(server.other_url) as http, http.stream("GET", server.other_url):
            await get(pool, server)

    pooled(work)
    assert server.connections == 1


def test_what_was_idle_for_long_is_closed_at_the_next_request(server):
    async def work(pool):
        await asyncio.gather(*(get(pool, server) for _ in range(10)))
        assert server.open_connections == 10
        await asyncio.sleep(0.3)
        await get(pool, server)  # the one that was used last, and which httpx finds fresh
        await asyncio.to_thread(server.until, lambda: server.open_connections == 1)

    pooled(work, idle_s=0.2)
    assert server.connections == 10


def test_a_connection_that_the_server_has_closed_is_not_used_again(server):
    async def work(pool):
        await get(pool, server)
        server.tear()
        await asyncio.to_thread(server.until, lambda: server.open_connections == 0)
        return await get(pool, server)

    assert pooled(work) == 200
    assert server.connections == 2


def test_a_request_that_is_given_up_takes_no_other_with_it(server):
    server.fails("account", late(60))

    async def work(pool):
        asking = asyncio.create_task(get(pool, server))
        await asyncio.to_thread(server.wait_for, "account")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await get(pool, server)

    assert pooled(work) == 200


def test_closing_ends_what_is_in_use_as_well(server):
    server.fails("account", late(60))

    async def work():
        pool = open_pool()
        asking = asyncio.create_task(get(pool, server))
        await asyncio.to_thread(server.wait_for, "account")
        await pool.aclose()
        with pytest.raises((httpx.HTTPError, RuntimeError)):
            await asking

    asyncio.run(work())
