"""Owns the file that a call of the API sends: which it is, and how far it is; must not send it."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic.api.uploads import Upload
from replicate_magic.cell.files import contents, media_type_of
from replicate_magic.cell.grammar import Given
from replicate_magic.cell.objects import Encoded, as_file
from replicate_magic.cell.schema import InputField
from replicate_magic.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FILE = InputField(name="content", types=("string",), is_file=True)
_START_BYTES = 64  # tell most kinds


def upload_of(form: Mapping[str, Any], read_bytes: Callable[[Path, int], bytes]) -> Upload:
    """The file that the fields of `POST /files` mean.

    Args:
        form: `content` as it was written (`Given`) or as an object; `filename`, `type` and
            `metadata`.
        read_bytes: from a path and a number to that many bytes of the file; raises OSError.

    Raises:
        InputError: it is none.
    """
    path, data, name = _content(form["content"])
    name = str(form.get("filename") or name)
    try:
        start = read_bytes(path, _START_BYTES) if path else (data or b"")[:_START_BYTES]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"content=@{path}: {reason}. Nothing was sent.") from error
    kind = form.get("type") or mimetypes.guess_type(name)[0] or media_type_of(start)
    metadata = form.get("metadata")
    return Upload(
        name=name,
        media_type=str(kind),
        path=path,
        data=data,
        metadata=json.dumps(metadata) if metadata else "",
    )


def _content(value: Any) -> tuple[Path | None, bytes | None, str]:
    """A path or bytes, and what the file is called.

    Raises:
        InputError: it is no file.
    """
    if isinstance(value, Given):
        value = Path(value.text) if value.kind == "file" else value.text
    value = as_file(value, _FILE)
    match value:
        case Path():
            return value.expanduser(), None, value.name
        case Encoded():
            return None, value.data, value.name
        case bytes() | bytearray() | memoryview():
            return None, bytes(value), "content"
        case str():
            return None, value.encode("utf-8", "replace"), "content.txt"
    return _read(value)


def _read(file: Any) -> tuple[None, bytes, str]:
    """What an open file holds, and its name."""
    if not hasattr(file, "read"):
        raise InputError(
            f"content is {type(file).__name__}, which is no file: write content=@PATH, or give "
            "bytes, a picture or an open file. Nothing was sent."
        )
    data = contents("content", file)
    if isinstance(data, str):
        try:
            data = data.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"content is a file that cannot be read: {error}. Nothing was sent."
            ) from error
    name = getattr(file, "name", "")
    return None, data, Path(name).name if isinstance(name, str) and name else "content"
