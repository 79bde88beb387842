"""Owns which file a Python object is: pictures, arrays, tables, predictions; must not send one.

Objects are known by what they can do and by where their class comes from, so that no library is
imported unless an object of its own has come.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from replicate_magic.errors import InputError
from replicate_magic.prediction import OutputFile, Prediction

if TYPE_CHECKING:
    from pathlib import Path

    from replicate_magic.cell.schema import InputField


class LargeFile(str):
    """A file that is too large for a request: it is sent ahead, and its address takes this place.

    It is a text, so that all that handles inputs takes it for the address that it will be.

    Attributes:
        name: the file's name.
        media_type: such as `image/png`.
        path: where it lies, or `None`.
        data: its bytes, where it has no path.
    """

    __slots__ = ("data", "media_type", "name", "path")

    name: str
    media_type: str
    path: Path | None
    data: bytes | None

    def __new__(
        cls, *, name: str, media_type: str, path: Path | None = None, data: bytes | None = None
    ) -> Self:
        """The stand-in says what it stands for."""
        made = super().__new__(cls, f"data:{media_type};name={name or 'file'};sent-ahead,")
        made.name, made.media_type, made.path, made.data = name or "file", media_type, path, data
        return made


class SentFile(str):
    """The address of a file that was sent ahead, or all of it, and what its bytes are.

    Attributes:
        sha256: of its bytes, in hex.
    """

    __slots__ = ("sha256",)

    sha256: str

    def __new__(cls, address: str, sha256: str) -> Self:
        """The address, which knows the digest."""
        made = super().__new__(cls, address)
        made.sha256 = sha256
        return made


class Encoded(NamedTuple):
    """An object as the bytes of a file."""

    name: str
    data: bytes


def as_file(value: Any, field: InputField) -> Any:
    """What an object is as an input: a path, `Encoded`, or JSON; any other value as it is.

    Args:
        value: the object.
        field: what the input takes.

    Raises:
        InputError: it cannot be made one, and why.
    """
    match value:
        case Prediction():
            return _of_prediction(value, field)
        case OutputFile():
            return value.path or value.url
    match type(value).__module__.partition(".")[0]:
        case "PIL" if hasattr(value, "save"):
            value = Encoded("image.png", _png(value, field))
        case "matplotlib" if hasattr(value, "savefig"):
            value = Encoded("figure.png", _drawn(value))
        case "numpy" if field.is_file and getattr(value, "ndim", 0) in {2, 3}:
            value = Encoded("array.png", _png(_image_of(value, field), field))
        case _ if hasattr(value, "to_csv") and hasattr(value, "to_dict"):
            value = _of_table(value, field)
    return value


def _of_prediction(prediction: Prediction, field: InputField) -> Any:
    """Its first file where a file is taken, all of them for a list, else its text."""
    files = [file.path or file.url for file in prediction.files]
    if files and (field.is_file or (field.item is not None and field.item.is_file)):
        return files[0] if field.is_file else files
    if files and not field.types:
        return files[0]
    return prediction.text if field.is_free_text or not field.types else prediction.output


def _drawn(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def _png(image: Any, field: InputField) -> bytes:
    buffer = BytesIO()
    try:
        image.save(buffer, format="PNG")
    except (OSError, ValueError) as error:  # such as CMYK, which PNG has not
        try:
            image.convert("RGB").save(buffer, format="PNG")
        except (OSError, ValueError):
            raise InputError(
                f"{field.name} is a picture that cannot be written: {error}."
            ) from error
    return buffer.getvalue()


def _image_of(array: Any, field: InputField) -> Any:
    """An array of height, width and channels; fractions from 0 to 1 are taken for brightness."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            f"{field.name} is an array, which becomes a picture with Pillow: pip install pillow. "
            "Nothing was sent."
        ) from error
    if array.dtype.kind == "f":
        array = (array.clip(0, 1) * 255).round()
    try:
        return Image.fromarray(array.astype("uint8"))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{field.name} is an array of shape {array.shape}, which is no picture. "
            "Nothing was sent."
        ) from error


def _of_table(table: Any, field: InputField) -> Any:
    """A DataFrame as a text table, a file or records; a Series as a list."""
    if getattr(table, "ndim", 2) == 1:
        return table.to_csv(index=False) if field.is_free_text else table.tolist()
    if field.is_free_text:
        return table.to_csv(index=False)
    if field.is_file:
        return Encoded("table.csv", table.to_csv(index=False).encode())
    return table.to_dict("records")
