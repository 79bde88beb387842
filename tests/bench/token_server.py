"""A Replicate that streams a set number of tokens at a set speed, each its own event.

Run in a process of its own, so that its work is on nobody else's account:
`python token_server.py TOKENS PER_SECOND` prints its address and serves until its input ends. After
each stream's last token it prints the time, in seconds since the epoch.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

LAST = "THE-END"
DONE_AFTER_S = 1.0  # after the last token, so that it can be seen before the end is
SCHEMA = {
    "components": {
        "schemas": {
            "Input": {"properties": {"prompt": {"type": "string"}}},
            "Output": {
                "type": "array",
                "items": {"type": "string"},
                "x-cog-array-type": "iterator",
                "x-cog-array-display": "concatenate",
            },
        }
    }
}


class Server:
    """One model, `bench/tokens`; each prediction streams once it is asked for."""

    def __init__(self, tokens: int, per_second: float) -> None:
        self.tokens = [*(f"tok{n % 10} " for n in range(tokens - 1)), LAST]
        self.per_second = per_second
        self.done: set[str] = set()
        self.number = 0
        self.base = ""

    async def serve(self) -> None:
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        print(self.base, flush=True)
        await asyncio.to_thread(sys.stdin.read)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path = head.decode().split(" ")[:2]
                fields = dict(
                    line.lower().split(": ", 1)
                    for line in head.decode().split("\r\n")[1:]
                    if ": " in line
                )
                await reader.readexactly(int(fields.get("content-length", 0)))
                if path.startswith("/stream/"):
                    await self.stream(path.rsplit("/", 1)[-1], writer)
                    break
                body = json.dumps(self.answer(method, path)).encode()
                length = f"content-length: {len(body)}".encode()
                kind = b"content-type: application/json"
                writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n" + length + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def answer(self, method: str, path: str) -> dict:
        if path.startswith("/v1/models/") and method == "GET":
            return {
                "owner": "bench", "name": "tokens", "is_official": True,
                "latest_version": {"id": "0" * 64, "openapi_schema": SCHEMA},
            }  # fmt: skip
        if method == "POST" and not path.endswith("/cancel"):
            self.number += 1
            return self.raw(f"p{self.number}")
        return self.raw(path.split("/")[3])

    def raw(self, name: str) -> dict:
        done = name in self.done
        return {
            "id": name, "model": "bench/tokens", "version": "hidden", "input": {}, "error": None,
            "status": "succeeded" if done else "processing", "data_removed": False, "logs": "",
            "output": self.tokens if done else None, "created_at": "2026-01-01T00:00:00Z",
            "metrics": {"predict_time": 1.0} if done else {},
            "urls": {
                "get": f"{self.base}/v1/predictions/{name}",
                "cancel": f"{self.base}/v1/predictions/{name}/cancel",
                "stream": f"{self.base}/stream/{name}",
            },
        }  # fmt: skip

    async def stream(self, name: str, writer: asyncio.StreamWriter) -> None:
        kind = b"content-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + kind)
        began = time.perf_counter()
        for number, token in enumerate(self.tokens):
            writer.write(f"event: output\nid: 1:{number}\ndata: {token}\n\n".encode())
            ahead = number / self.per_second - (time.perf_counter() - began)
            if ahead > 0.001:
                await asyncio.sleep(ahead)
        await writer.drain()
        print(time.time(), flush=True)
        await asyncio.sleep(DONE_AFTER_S)
        self.done.add(name)
        writer.write(b"event: done\nid: 1:done\ndata: {}\n\n")
        await writer.drain()


if __name__ == "__main__":
    asyncio.run(Server(int(sys.argv[1]), float(sys.argv[2])).serve())
