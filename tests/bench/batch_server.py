"""An API on a socket that costs next to nothing: predictions that take a fixed time, in no memory.

`python tests/bench/batch_server.py SECONDS [JITTER]` prints its address, and a line of JSON with
how often each thing was asked at `GET /seen`. The answers look like Replicate's.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import ClassVar

LATEST = {
    "id": "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa",
    "openapi_schema": {
        "components": {
            "schemas": {
                "Input": {"type": "object", "properties": {"prompt": {"type": "string"}}},
                "Output": {"type": "string"},
            }
        }
    },
}
MODEL = {"owner": "acme", "name": "poet", "is_official": True, "latest_version": LATEST}


class API(asyncio.Protocol):
    """One connection."""

    seen: ClassVar[Counter[str]] = Counter()
    made: ClassVar[dict[str, tuple[float, float, str]]] = {}
    lasts_s = 0.2
    jitter = 0.0
    base = ""

    def connection_made(self, transport):
        self._out, self._in = transport, b""
        API.seen["connections"] += 1

    def data_received(self, data):
        self._in += data
        while (end := self._in.find(b"\r\n\r\n")) >= 0:
            head = self._in[:end].decode("latin-1")
            length = 0
            for line in head.split("\r\n")[1:]:
                if line[:15].lower() == "content-length:":
                    length = int(line[15:])
            if len(self._in) < end + 4 + length:
                return
            self._in = self._in[end + 4 + length :]
            method, path, _ = head.split("\r\n", 1)[0].split(" ")
            self._answer(method, path)

    def _answer(self, method, path):
        status, raw = 200, MODEL
        if path == "/seen":
            raw = dict(API.seen)
        elif path.endswith("/cancel"):
            API.seen["cancel"] += 1
            raw = self._prediction(path.split("/")[-2])
        elif method == "POST":
            API.seen["create"] += 1
            name = f"p{API.seen['create']:025d}"
            now_s = datetime.now(UTC).timestamp()
            lasts_s = API.lasts_s * (1 + API.jitter * random.uniform(-1, 1))
            API.made[name] = (now_s, lasts_s, _stamp(now_s))
            status, raw = 201, self._prediction(name)
        elif "/predictions/" in path:
            API.seen["get"] += 1
            raw = self._prediction(path.rsplit("/", 1)[1])
        else:
            API.seen["model"] += 1
        body = json.dumps(raw).encode()
        self._out.write(
            b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )

    def _prediction(self, name):
        began_s, lasts_s, stamp = API.made[name]
        url = f"{API.base}/v1/predictions/{name}"
        raw = {
            "id": name, "model": "acme/poet", "version": "hidden", "input": {"prompt": "x"},
            "logs": "", "output": None, "error": None, "data_removed": False,
            "status": "processing", "created_at": stamp,
            "urls": {"get": url, "cancel": f"{url}/cancel"},
        }  # fmt: skip
        if datetime.now(UTC).timestamp() - began_s >= lasts_s:
            ended = _stamp(began_s + lasts_s)
            metrics = {"predict_time": lasts_s, "total_time": lasts_s}
            raw |= {"status": "succeeded", "output": "An answer of some words. " * 20}
            raw |= {"started_at": stamp, "completed_at": ended, "metrics": metrics}
        return raw


def _stamp(at_s):
    told = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


async def main():
    API.lasts_s = float(sys.argv[1])
    API.jitter = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    server = await asyncio.get_running_loop().create_server(API, "127.0.0.1", 0, backlog=512)
    API.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(API.base, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
