"""Owns saving a run's files while it goes on; must not know where they lie on disk.

It is what `Previews` is for runs whose files are kept: a picture is drawn from what was saved.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from replicate_magic.api.files import PREVIEW_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replicate_magic.api.downloads import Downloads, Saved
    from replicate_magic.prediction import OutputFile
    from replicate_magic.progress import Progress


PLAYED_BYTES = 1_000_000
"""The largest sound or film that becomes part of a notebook."""


class Savings:
    """Saves output files as they become known, within `async with`; leaving it ends what runs.

    Args:
        downloads: makes what saves one, once there is any.
        progress: told how far each is.
        came: handed each, with what went wrong where it was not saved.
        previewed: whether pictures are to be drawn.
    """

    def __init__(
        self,
        downloads: Callable[[], Downloads],
        progress: Progress,
        came: Callable[[Saved], None],
        *,
        previewed: bool,
    ) -> None:
        self._make = downloads
        self._downloads: Downloads | None = None
        self._progress = progress
        self._came = came
        self._previewed = previewed
        self._saving: dict[str, asyncio.Task[None]] = {}

    @property
    def pending(self) -> bool:
        """Whether a file is being saved."""
        return not all(task.done() for task in self._saving.values())

    def fetch(self, files: Sequence[OutputFile]) -> None:
        """Begin to save those that are new."""
        for file in files:
            if file.url not in self._saving:
                self._saving[file.url] = asyncio.create_task(self._save(file))

    async def settle(self, deadline_s: float) -> None:
        """Wait until all are saved or cannot be had, or the time is over (loop time)."""
        left_s = deadline_s - asyncio.get_running_loop().time()
        if self._saving:
            await asyncio.wait(self._saving.values(), timeout=max(left_s, 0))

    async def _save(self, file: OutputFile) -> None:
        saved = await self._fetched(file)
        if self._previewed and _is_shown(saved.file):
            saved = replace(saved, file=await asyncio.to_thread(_with_preview, saved.file))
        self._came(saved)

    async def _fetched(self, file: OutputFile) -> Saved:
        self._downloads = self._downloads or self._make()
        if file.url.startswith("data:"):  # it is here already
            return await self._downloads.fetch(file)
        with self._progress.begin(_name(file.url)) as way:
            return await self._downloads.fetch(file, way.told, way.again)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._saving.values():
            task.cancel()
        await asyncio.gather(*self._saving.values(), return_exceptions=True)


def _name(url: str) -> str:
    """What people call the file at an address."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _is_shown(file: OutputFile) -> bool:
    """Whether a file is small enough to be part of the notebook."""
    kind = (file.media_type or "").partition("/")[0]
    most = {"image": PREVIEW_BYTES, "audio": PLAYED_BYTES, "video": PLAYED_BYTES}.get(kind, -1)
    return file.size_bytes is not None and file.size_bytes <= most


def _with_preview(file: OutputFile) -> OutputFile:
    try:
        return replace(file, preview=file.path.read_bytes() if file.path else None)
    except OSError:
        return file
