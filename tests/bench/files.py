"""Files up and down over loopback beside `curl`, the memory that takes, and ten files at once.

`python tests/bench/files.py [MEGABYTES [ROUNDS]]` prints the medians and the ratios. Ours is a
process that hashes what it sends and saves and tells how far it is, curl one that does neither;
both save to disk. The bare server does nothing with what it is sent; the embedded engine parses,
hashes and keeps it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from figure import Figure

import replicate_magic as rm
from replicate_magic.api.client import Client, open_pool
from replicate_magic.api.downloads import Downloads
from replicate_magic.api.uploads import Upload, Uploads
from replicate_magic.prediction import OutputFile
from replicate_magic.progress import Progress

SLOW_S = 0.2
MADE = {"urls": {"get": "http://127.0.0.1/made"}}


# -- the server: bytes as fast as the kernel takes them ------------------------------------------


def serve(path: str) -> None:
    door = socket.create_server(("127.0.0.1", 0), backlog=50)
    print(f"http://127.0.0.1:{door.getsockname()[1]}/v1", flush=True)
    while True:
        threading.Thread(target=converse, args=(door.accept()[0], path), daemon=True).start()


def converse(line: socket.socket, path: str) -> None:
    reader, buffer = line.makefile("rb"), bytearray(1 << 20)
    while first := reader.readline():
        headers = dict(
            text.decode().lower().split(": ", 1) for text in iter(reader.readline, b"\r\n")
        )
        if headers.get("expect"):
            line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(headers.get("content-length", 0))
        while left:
            left -= reader.readinto1(memoryview(buffer)[:left])
        if first.startswith(b"POST"):
            body = json.dumps(MADE).encode()
            line.sendall(b"HTTP/1.1 201 Made\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            continue
        slow = b"/slow-" in first
        size = 1_000_000 if slow else os.path.getsize(path)  # noqa: PTH202
        line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        time.sleep(SLOW_S * slow)
        with Path(path).open("rb") as file:
            line.sendfile(file, count=size)


# -- ours: a process, measured from within ------------------------------------------------------


async def measured(base: str, token: str, path: str, rounds: int) -> dict[str, list[float]]:
    """The seconds of each round, and the memory above what a small file takes, in MB."""
    pool = open_pool()
    client = Client(pool, base=base, token=token)
    small = Upload(name="small.bin", media_type="application/octet-stream", data=b"x")
    large = Upload(name="large.bin", media_type="application/octet-stream", path=Path(path))
    folder = Path(tempfile.mkdtemp(dir=Path(path).parent))
    await Uploads(client).url_of(small, lambda *_: None)
    found: dict[str, list[float]] = {"up": [], "down": [], "one by one": [], "at once": []}
    if token == "none":
        await Downloads(client, folder).fetch(OutputFile(url=f"{base}/slow-0.bin"))
    events: list[object] = []
    up, down = (Progress(way, events.append, time.monotonic) for way in ("up", "down"))
    before_mb = peak_mb()
    for _ in range(rounds):
        began = time.perf_counter()
        with up.begin("large.bin") as way:
            await Uploads(client).url_of(large, way.told, way.again)
        found["up"].append(time.perf_counter() - began)
        if token != "none":
            continue
        began = time.perf_counter()
        with down.begin("large.bin") as way:
            file = OutputFile(url=f"{base}/large.bin")
            saved = await Downloads(client, folder).fetch(file, way.told, way.again)
        found["down"].append(time.perf_counter() - began)
        assert not saved.trouble, saved
        saved.file.path.unlink()
    found["memory"] = [peak_mb() - before_mb]
    files = [OutputFile(url=f"{base}/slow-{number}.bin") for number in range(10)]
    for _ in range(rounds if token == "none" else 0):
        began = time.perf_counter()
        for file in files:
            await Downloads(client, folder).fetch(file)
        found["one by one"].append(time.perf_counter() - began)
        downloads, began = Downloads(client, folder, names="plain"), time.perf_counter()
        await asyncio.gather(*map(downloads.fetch, files))
        found["at once"].append(time.perf_counter() - began)
    await pool.aclose()
    shutil.rmtree(folder)
    return found


def peak_mb() -> float:
    """The most memory that this process has had; `ru_maxrss` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def ours(base: str, token: str, path: Path, rounds: int) -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--measure", base, token, str(path), str(rounds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# -- beside curl --------------------------------------------------------------------------------


def curl(*arguments: str) -> float:
    command = ["curl", "-sS", "--fail", "-w", "%{stderr}%{time_total}", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stderr)


@contextmanager
def bare_server(path: Path):
    command = [sys.executable, __file__, "--serve", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.kill()


def row(what: str, mine: list[float], theirs: list[float], beside: str = "curl") -> Figure:
    middle, other = statistics.median(mine), statistics.median(theirs)
    print(f"{what:<34} {middle:6.3f} s   {other:6.3f} s   {middle / other:5.2f} times")
    return Figure(name=what, ours=middle, unit="s", beside=beside, peer=other)


def measure(megabytes: int = 100, rounds: int = 5) -> list[Figure]:
    what = f"{megabytes} MB"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "large.bin")
        path.write_bytes(os.urandom(megabytes * 1_000_000))
        print(f"{megabytes} MB, medians of {rounds}: ours, curl, ratio")
        with bare_server(path) as base:
            found = ours(base, "none", path, rounds)
            form = f"content=@{path};type=application/octet-stream"
            up = row(
                f"{what} up, to a bare server",
                found["up"],
                [curl("-F", form, f"{base}/files", "-o", os.devnull) for _ in range(rounds)],
            )
            down = row(
                f"{what} down, from a bare server",
                found["down"],
                [curl(f"{base}/large.bin", "-o", f"{name}/saved.bin") for _ in range(rounds)],
            )
            memory = Figure(
                name=f"memory that {what} up and down take", ours=found["memory"][0], unit="MB"
            )
            print(f"memory above the base: {memory.ours:.1f} MB")
        with rm.serve() as engine:
            base = f"{engine.base_url}/v1"
            token = f"authorization: bearer {engine.token}"
            mine = ours(base, engine.token, path, rounds)["up"]
            engine_up = row(
                f"{what} up, to the embedded engine",
                mine,
                [
                    curl("-H", token, "-F", form, f"{base}/files", "-o", os.devnull)
                    for _ in range(rounds)
                ],
            )
        print(f"ten files of 1 MB that wait {SLOW_S} s each: at once, one by one, ratio")
        at_once = row("ten files down at once", found["at once"], found["one by one"], "one by one")
    return [up, down, engine_up, at_once, memory]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve", path]:
            serve(path)
        case ["--measure", base, token, path, rounds]:
            print(json.dumps(asyncio.run(measured(base, token, path, int(rounds)))))
        case numbers:
            measure(*map(int, numbers))
