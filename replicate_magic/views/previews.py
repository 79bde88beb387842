"""Owns making a picture small enough to be part of a notebook; must not know where it is drawn.

A picture comes from a model, and so is hostile: what cannot be read, or would take too much time or
memory, is no picture. Pillow is imported where one is too large as it is.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

    from replicate_magic.prediction import OutputFile

NATIVE = frozenset({"image/png", "image/jpeg"})
"""Pictures that every tool draws by their own type."""
PICTURES = NATIVE | {"image/webp", "image/gif"}
MOST = 60
"""How many pictures of one answer are drawn."""
_IN_ALL = 4  # times what one may have: forty pictures are not to make forty times as much
_WITHIN_S = 10.0  # then the rest stay links
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")  # others would be read by whatever Pillow has for them
_MOST_PIXELS = 80_000_000  # of 4 bytes
_MOST_SCANS = 50  # of a JPEG: a small file can ask for thousands, each of all its pixels
_SMALLEST_EDGE = 48
_QUALITY, _LOWER_QUALITY = 85, 70
_ORIENTATION = 0x0112
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's transpositions by Exif's (4.6.5.1.6)


class _Room(NamedTuple):
    """How large a picture may become, and as what one that is clear in parts."""

    edge: int
    clear: str
    most_bytes: int = 0


_ALONE = _Room(1_600, "PNG")  # about what a page is wide; by its own type, which is to be native
_IN_A_GRID = _Room(800, "WEBP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A picture as it is drawn.

    Attributes:
        file: whose it is.
        media_type: of `data`.
        data: its bytes.
        change: what it is of the file, such as `smaller`; empty where it is all of it.
    """

    file: OutputFile
    media_type: str
    data: bytes
    change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previews:
    """The pictures of an answer as they are drawn.

    Attributes:
        drawn: them, in order; those that are missing stay links.
        hint: what would have more of them drawn, or an empty string.
    """

    drawn: list[Preview]
    hint: str = ""


def _is_here(file: OutputFile) -> bool:
    """Whether a file is a picture that pages can draw, and its bytes are on this machine."""
    return file.media_type in PICTURES and (file.preview is not None or file.path is not None)


def previews(files: Sequence[OutputFile], most_bytes: int) -> Previews:
    """The pictures among files, small enough for a notebook.

    Args:
        files: an answer's.
        most_bytes: how much of the notebook one picture may be; with none, nothing is drawn. Of
            many each may be less.
    """
    pictures = [file for file in files if _is_here(file)][:MOST]
    if not most_bytes or not pictures:
        return Previews(drawn=[])
    room = _ALONE if len(pictures) == 1 else _IN_A_GRID
    room = room._replace(most_bytes=min(most_bytes, _IN_ALL * most_bytes // len(pictures)))
    drawn, hint = [], ""
    deadline_s = time.monotonic() + _WITHIN_S
    for file in pictures:
        try:
            found = _whole(file, room.most_bytes)
            if found is None and time.monotonic() < deadline_s:
                found = _smaller(file, room)
        except ImportError:
            hint = "pip install pillow: then large pictures are drawn smaller"
        else:
            drawn += [found] if found else []
    return Previews(drawn=drawn, hint=hint)


def bytes_of(file: OutputFile, most_bytes: int) -> bytes | None:
    """A file's bytes, where they are on this machine and no more than so many."""
    data = file.preview
    if data is None and file.path and file.size_bytes is not None and file.size_bytes <= most_bytes:
        data = _read(file.path, most_bytes + 1)  # somebody may have put another in its place
    return None if data is None or len(data) > most_bytes else data


def _read(path: Path, most_bytes: int) -> bytes | None:
    try:
        with path.open("rb") as opened:
            return opened.read(most_bytes)
    except OSError:
        return None


def _whole(file: OutputFile, most_bytes: int) -> Preview | None:
    data = bytes_of(file, most_bytes)
    return Preview(file=file, media_type=str(file.media_type), data=data) if data else None


def _smaller(file: OutputFile, room: _Room) -> Preview | None:
    """The picture scaled down; of one that moves, the first frame.

    Raises:
        ImportError: Pillow is not installed.
    """
    from PIL import Image

    source: Any = BytesIO(file.preview) if file.preview else file.path
    try:
        with warnings.catch_warnings():  # Pillow warns of what is refused below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source, formats=_FORMATS)
        with image:
            change = "its first frame" if getattr(image, "is_animated", False) else "smaller"
            media_type, data = _encoded(_upright(image, room.edge), room)
    except Exception:  # noqa: BLE001  (what a broken picture makes of Pillow has no end)
        return None
    return Preview(file=file, media_type=media_type, data=data, change=change)


def _upright(opened: ImageFile, edge: int) -> Image:
    """The picture in RGB or RGBA, no larger than it is shown, turned as its camera says.

    Raises:
        ValueError: it would take too much memory or time.
    """
    from PIL.Image import Transpose

    if opened.width * opened.height > _MOST_PIXELS:
        raise ValueError("it has too many pixels")
    if opened.format == "JPEG" and _scans(opened.fp) > _MOST_SCANS:
        raise ValueError("it has too many scans")
    opened.draft("RGB", (edge, edge))  # a JPEG is then decoded at a fraction of its size
    turn = _TURNS.get(opened.getexif().get(_ORIENTATION, 1))
    image: Image = opened
    if image.mode.startswith("I"):  # 16 bits of grey, of which pages show the upper ones
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    is_clear = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    image = image.convert("RGBA" if is_clear else "RGB")
    image.thumbnail((edge, edge))
    image.info.clear()  # what a camera or a model wrote beside it
    if is_clear and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    return image if turn is None else image.transpose(Transpose(turn))


def _scans(file: Any) -> int:
    """How often a JPEG begins to tell its pixels anew (ITU T.81, B.1.1.3)."""
    place, count = file.tell(), 0
    file.seek(0)
    while block := file.read(1_000_000):
        count += block.count(b"\xff\xda")
    file.seek(place)
    return count


def _encoded(image: Image, room: _Room) -> tuple[str, bytes]:
    """The picture as large as there is room for it.

    Raises:
        ValueError: even a tiny one has more.
    """
    is_clear = image.mode == "RGBA"
    kind, quality = room.clear if is_clear else "JPEG", _QUALITY
    while max(image.size) >= _SMALLEST_EDGE:
        out = BytesIO()
        image.save(out, kind, quality=quality, optimize=True)
        if out.tell() <= room.most_bytes:
            return f"image/{kind.lower()}", out.getvalue()
        if quality == _QUALITY and kind != "PNG":
            quality = _LOWER_QUALITY
            continue
        ratio = min(0.95 * (room.most_bytes / out.tell()) ** 0.5, 0.9)
        edge = round(max(image.size) * ratio)
        image.thumbnail((edge, edge))
    raise ValueError("there is too little room for it")
