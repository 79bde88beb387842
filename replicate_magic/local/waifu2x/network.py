"""The only user of sr-vulkan: small pictures in, pictures twice as large out.

Knows files in memory, no pixels. Its state is the library's and so the process's: one `Network` a
process. The library finds its weights beside itself, where pip puts the package that has them.
"""

from __future__ import annotations

import time
from typing import Any

from replicate_magic.local.model import ModelError

CPU = "cpu"
POLL_S = 0.002
_STYLES = {"art": "ANIME", "photo": "PHOTO"}
# Vulkan on the CPU, which is slower than the library's own way of using it.
_SOFTWARE = ("llvmpipe", "lavapipe", "swiftshader")


class NetworkError(RuntimeError):
    """The library gave no picture, or does not run here."""


class Network:
    """The networks, ready to run.

    Args:
        gpu: Whether a graphics card may be used.

    Attributes:
        device: What computes: `cpu`, or the graphics card's name.

    Raises:
        ModelError: If the library cannot be loaded.
        NetworkError: If it does not start.
    """

    def __init__(self, *, gpu: bool) -> None:
        self._library = _load()
        self.device = _start(self._library, gpu=gpu)
        self._number = 0

    def double(self, tile: bytes, *, style: str, noise: int) -> bytes:
        """The picture *tile*, a PNG or the like, twice as large, as PNG.

        Args:
            tile: The file.
            style: `art` or `photo`.
            noise: -1 to 3.

        Raises:
            NetworkError: If the library makes none.
        """
        suffix = f"_DENOISE{noise}X" if noise >= 0 else ""
        model = getattr(self._library, f"MODEL_WAIFU2X_{_STYLES[style]}_UP2X{suffix}")
        self._number += 1
        # The other format without loss that it offers, BMP, it writes beyond its own memory.
        if self._library.add(tile, model, self._number, 2, format="png") <= 0:
            raise NetworkError(self._library.getLastError() or "it took no work")
        while not (done := self._library.load(0)):
            time.sleep(POLL_S)
        # The result, its format, its number, the seconds it took. Where it fails, only the
        # first of them tells.
        larger, number = done[0], done[2]
        if not isinstance(larger, bytes) or number != self._number:
            raise NetworkError(self._library.getLastError() or "it gave no picture")
        return larger


def _load() -> Any:
    try:
        from sr_vulkan import sr_vulkan
    except ImportError as error:
        raise ModelError(f"sr-vulkan cannot be loaded on this machine: {error}") from error
    return sr_vulkan


def _start(library: Any, *, gpu: bool) -> str:
    found = library.init() >= 0
    if found and gpu:
        for index, name in enumerate(library.getGpuInfo() or ()):
            software = any(part in name.lower() for part in _SOFTWARE)
            if not software and library.initSet(gpuId=index) >= 0:
                return str(name)
    if library.initSet(gpuId=-1) < 0:
        raise NetworkError(library.getLastError() or "it does not start")
    return CPU
