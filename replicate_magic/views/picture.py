"""Owns a prediction's picture as a PIL image; must not draw it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import InputError

if TYPE_CHECKING:
    from replicate_magic.prediction import Prediction


def image_of(prediction: Prediction) -> Any:
    """The first file of the output that was saved or drawn, opened with Pillow.

    Raises:
        InputError: there is none, it is no picture, or Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("A picture is opened with Pillow: pip install pillow") from error
    for file in prediction.files:
        source = file.path or (BytesIO(file.preview) if file.preview else None)
        if source is not None:
            try:
                return Image.open(source)
            except OSError as error:
                raise InputError(f"{file.path or file.url} is no picture: {error}") from error
    raise InputError(f"{prediction!r} has no file that was saved. `.files` has their addresses.")
