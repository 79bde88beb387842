"""Owns a prediction's picture as a PIL image; must not draw it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import InputError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from replicate_magic.prediction import Prediction


def image_of(prediction: Prediction) -> Any:
    """The first picture of the output that was saved or drawn, opened with Pillow.

    Raises:
        InputError: there is none, it cannot be read, or Pillow is not installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise InputError("A picture is opened with Pillow: pip install pillow") from error
    here = [file for file in prediction.files if file.path or file.preview]
    if not here:
        raise InputError(
            f"{prediction!r} has no file that was saved. `.files` has their addresses."
        )
    pictures = [file for file in here if (file.media_type or "").startswith("image/")]
    [file, *_] = pictures or here
    name = file.path or one_line(file.url, limit=100)
    try:
        return Image.open(file.path or BytesIO(file.preview or b""))
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is no picture.") from error
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{name} cannot be opened: {error}") from error
