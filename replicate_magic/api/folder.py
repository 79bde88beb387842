"""Owns the folder of saved files: names and places there, and files that are not whole yet.

It must not know where they come from. All of it blocks, and so runs on a thread.
"""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import re
import stat
import tempfile
import time
import unicodedata
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from replicate_magic.api import file_answers

_PART = ".replicate-", ".part"
_STALE_S = 24 * 3600.0


class Part:
    """A file under a name of its own, until it is whole; blocks, so on a thread.

    Attributes:
        start: its first bytes.
        size_bytes: how many it has.
    """

    def __init__(self, folder: Path) -> None:
        number, name = tempfile.mkstemp(prefix=_PART[0], suffix=_PART[1], dir=folder)  # mode 0600
        self.path = Path(name)
        self.start, self.size_bytes = b"", 0
        self._file = os.fdopen(number, "wb")
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The sha256 of what is there, in hex."""
        return self._hash.hexdigest()

    def take(self, pieces: list[bytes]) -> None:
        """Append."""
        block = b"".join(pieces)
        pieces.clear()
        self._file.write(block)
        self._hash.update(block)
        self.size_bytes += len(block)
        self.start = self.start or block[:64]

    def restart(self) -> None:
        """Begin again with nothing."""
        self._file.seek(0)
        self._file.truncate()
        self.start, self.size_bytes = b"", 0
        self._hash = hashlib.sha256()

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()

    def discard(self) -> None:
        """Leave nothing behind, if it still has its own name."""
        with suppress(OSError):  # what did not fit on the disk cannot be flushed either
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class Folder:
    """Where files are saved, and under which names; blocks, so on a thread.

    Attributes:
        path: the folder.
        is_plain: whether files are named as in their URLs, not by their content.
    """

    def __init__(self, path: Path, *, plain: bool) -> None:
        self.path = path
        self.is_plain = plain

    def begin(self) -> Part:
        """A new part, in the same folder, so that it can be renamed."""
        _make(self.path)
        return Part(self.path)

    def place(self, part: Part, url: str, media_type: str) -> tuple[Path, bool]:
        """Give a part its name; whether that is one file more than before."""
        part.close()
        if self.is_plain:
            return self._place_plainly(part, plain_name(url, media_type))
        folder = self.path / part.digest[:2]
        _make(folder)
        known = next(folder.glob(f"{part.digest}.*"), None)
        place = known or folder / f"{part.digest}{_extension(url, media_type)}"
        try:
            part.path.replace(place)
        except PermissionError:  # on Windows, while somebody reads it
            if known is None:
                raise
        return place, known is None

    def held_bytes(self) -> int:
        """How much is in the folder; parts that a process left when it died are removed."""
        held = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # others may remove it
                    facts = path.lstat()
                    is_part = name.startswith(_PART[0]) and name.endswith(_PART[1])
                    if is_part and facts.st_mtime < time.time() - _STALE_S:
                        path.unlink()
                    else:
                        held += facts.st_size
        return held

    def _place_plainly(self, part: Part, name: str) -> tuple[Path, bool]:
        stem, dot, suffix = name.rpartition(".")
        for number in range(1, _MOST_ALIKE):
            place = self.path / (name if number == 1 else f"{stem}-{number}{dot}{suffix}")
            try:  # no link is followed, nor anything overwritten
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                if _is_same(place, part):
                    return place, False
                continue
            try:
                part.path.replace(place)
            except OSError:
                place.unlink()
                raise
            return place, True
        raise OSError(errno.EEXIST, f"there are too many files like {name}")


def _make(folder: Path) -> None:
    """Make a folder and those above it, where they are not there, for its owner alone."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def _is_same(path: Path, part: Part) -> bool:
    """Whether a file, and no link to one, has the same bytes."""
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != part.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == part.digest
    except OSError:
        return False


# -- names --------------------------------------------------------------------------------------

_MOST_ALIKE = 10_000
_MOST_NAME_BYTES = 120
_EXTENSIONS = {
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "audio/flac": ".flac",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/webp": ".webp",
    "model/gltf-binary": ".glb",
    "text/html": ".html",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}
"""Where the platform's own table knows none, or several."""
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3])", re.IGNORECASE
)
_FORBIDDEN = frozenset('<>:"/\\|?*')


def plain_name(url: str, media_type: str) -> str:
    """A file's name after the last part of its URL, for any folder on any platform.

    It is one part of a path, of at most 120 bytes, begins with no dot or dash, holds no control
    character, is no device of Windows, and ends as its media type says.
    """
    last = unquote(file_answers.url_name(url)).replace("\\", "/").rpartition("/")[2]
    text = unicodedata.normalize("NFC", last)
    text = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in text)
    stem, extension = _parted(text.lstrip(" .-~").rstrip(" ."), url, media_type)
    room = _MOST_NAME_BYTES - len(extension)
    stem = stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") or "output"
    if _DEVICE.fullmatch(stem.partition(".")[0].rstrip()):
        stem = f"_{stem}"
    return f"{stem}{extension}"


def _parted(name: str, url: str, media_type: str) -> tuple[str, str]:
    """A name without its extension, and the one that it is to have."""
    stem, dot, suffix = name.rpartition(".")
    if not re.fullmatch(r"[A-Za-z0-9]{1,10}", suffix) or not dot:
        return name, _extension(url, media_type)
    named = file_answers.type_in_name(name)
    if media_type in {named, "application/octet-stream"}:
        return stem, f".{suffix}"
    return (stem if named else name), _extension(url, media_type)


def _extension(url: str, media_type: str) -> str:
    """Such as `.png`: what the URL's name has where it fits, else what is usual."""
    found = re.fullmatch(r".*(\.[A-Za-z0-9]{1,10})", file_answers.url_name(url))
    suffix = found[1].lower() if found else ""
    if suffix and file_answers.type_in_name(suffix) == media_type:
        return suffix
    if media_type == "application/octet-stream":
        return suffix or ".bin"
    return _EXTENSIONS.get(media_type) or mimetypes.guess_extension(media_type) or suffix or ".bin"
