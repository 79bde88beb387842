"""Owns what a file becomes as an input: a data URL, its text, or what is to be sent ahead."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.objects import LargeFile
from replicate_magic.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.cell.schema import InputField

DATA_URL_BYTES = 256_000
"""What Replicate takes as a data URL (https://replicate.com/docs/reference/http#predictions.create)."""

MOST_FILE_BYTES = 100 * 1024 * 1024
"""What `POST /files` takes: "Files must be less than 100MB in size"."""


def from_path(path: Path, known: InputField, read_bytes: Callable[[Path, int], bytes]) -> str:
    """A file input gets a data URL; a text input gets the file's text, a secret without its end."""
    shown = "(secret)" if known.is_secret else path  # it may be one that begins with an @
    try:
        data = read_bytes(path.expanduser(), DATA_URL_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path, no such user's home
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise InputError(f"{known.name}=@{shown}: {reason}. Nothing was sent.") from cause(
            error, known
        )
    if known.is_free_text or (known.is_secret and not known.is_file):
        _refuse_large(known.name, data)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{known.name} takes text, and {shown} is none. Nothing was sent."
            ) from cause(error, known)
        return text.rstrip("\r\n") if known.is_secret else text
    if len(data) > DATA_URL_BYTES:
        media_type = _media_type(data, path.name)
        return LargeFile(name=path.name, media_type=media_type, path=path.expanduser())
    return data_url(known.name, data, path.name)


def from_open_file(name: str, file: Any) -> str:
    """A file opened as text gives its text, any other a data URL."""
    data = contents(name, file)
    if isinstance(data, str):
        _refuse_large(name, data)
        return data
    path = getattr(file, "name", "")
    return data_url(name, data, path if isinstance(path, str) else "")


def contents(name: str, file: Any) -> str | bytes:
    """What an open file holds, from where it stands, up to a little more than can be sent.

    Raises:
        InputError: it cannot be read, as one that is closed, or gives nothing yet.
    """
    try:
        data = file.read(MOST_FILE_BYTES + 1)
        return data if isinstance(data, str) else bytes(memoryview(data))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{name} is a file that cannot be read: {error}. Nothing was sent."
        ) from error


def data_url(name: str, data: bytes, file_name: str) -> str:
    """A data URL; of what is too large for one, what is sent ahead."""
    media_type = _media_type(data, file_name)
    if len(data) > MOST_FILE_BYTES:
        raise InputError(
            f"{name} is a file of more than {MOST_FILE_BYTES:,} bytes, which Replicate does not "
            "take. Put it at an https:// address and give that. Nothing was sent."
        )
    if len(data) > DATA_URL_BYTES:
        return LargeFile(name=Path(file_name).name or name, media_type=media_type, data=data)
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _media_type(data: bytes, file_name: str) -> str:
    return mimetypes.guess_type(file_name)[0] or media_type_of(data)


def _refuse_large(name: str, data: bytes | str) -> None:
    if len(data) > DATA_URL_BYTES:
        raise InputError(
            f"{name} is a text of more than {DATA_URL_BYTES:,} bytes, which is what a request "
            "takes. Nothing was sent."
        )


_MAGIC_BYTES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
)


def media_type_of(data: bytes) -> str:
    """The media type that a file's first bytes tell, or `application/octet-stream`."""
    for start, media_type in _MAGIC_BYTES:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(
            data[8:12], "application/octet-stream"
        )
    return "application/octet-stream"


def cause(error: Exception, known: InputField) -> Exception | None:
    """What an error is chained to; a traceback would show the secret that it quotes."""
    return None if known.is_secret else error
