"""The process that makes one picture larger: told what on standard input, it answers and ends.

Owns the protocol, the worker's side of it; `process` has the other side and describes the words.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

from replicate_magic.local.model import ModelError

from .fetch import fetch
from .network import CPU, Network, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Answer one request and end the process, whatever the library's threads are doing."""
    # What native code prints must not get between our words.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def tell(**word: object) -> None:
        answers.write(json.dumps(word).encode() + b"\n")
        answers.flush()

    code = 0
    try:
        request = json.loads(sys.stdin.buffer.readline())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        picture = _make(request, tell)
        tell(size_bytes=len(picture))
        answers.write(picture)
        answers.flush()
    except ModelError as error:
        tell(refusal=str(error))
    except NetworkError as error:
        tell(failure=str(error))
    except BaseException:  # noqa: BLE001 - its last words, before an exit that cleans up nothing
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def _make(request: dict[str, Any], tell: Callable[..., None]) -> bytes:
    def log(text: str) -> None:
        tell(log=text)

    content = fetch(request["image"])
    # Not before it is needed: a refused download wants no Pillow.
    from . import picture

    opened = picture.read(content, scale=request["scale"], log=log)
    tell(device="unknown")
    network = Network(gpu=request["gpu"])
    tell(device=network.device)
    if network.device != CPU:
        _check(network)
    log(f"Upscaling on {'the CPU' if network.device == CPU else network.device}.\n")
    began = time.monotonic()
    double = partial(network.double, style=request["style"], noise=request["noise"])
    larger = picture.upscale(opened, scale=request["scale"], double=double, log=log)
    width, height = larger.size
    log(f"Made {width}x{height} pixels in {time.monotonic() - began:.1f} s.\n")
    return picture.as_png(larger)


def _check(network: Network) -> None:
    """Make the example once more, as it was made on a CPU.

    Some Vulkan drivers turn what is darker than black into white.
    """
    from . import picture

    before, after = picture.example()
    if not picture.are_alike(network.double(before, style="art", noise=-1), after):
        raise NetworkError(f"{network.device} does not compute as it should")
