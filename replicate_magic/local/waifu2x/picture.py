"""A picture's pixels: reads what people have, cuts it into tiles for the network, joins them.

The only user of Pillow. Knows no network, only a function that doubles a small PNG.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from replicate_magic.local.model import ModelError

from .example import EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_OUTPUT_PIXELS = 4096 * 4096
# Not Pillow's others: one of them runs PostScript.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
TILE = 256
# As far as a pixel of the network's sees: with it the tiles join without a seam.
MARGIN = 8
STEP_PERCENT = 5
# A graphics card may compute with 16 bits.
ROUNDING = 16

_Box = tuple[int, int, int, int]


def read(content: bytes, *, scale: int, log: Callable[[str], None]) -> Image.Image:
    """The picture as it is meant to be seen, in mode `L`, `LA`, `RGB` or `RGBA`.

    Args:
        content: A file of one of `FORMATS`; of an animation the first frame is taken.
        scale: How much larger it is going to be.
        log: Told what was found.

    Raises:
        ModelError: If it cannot be read, or would become too large.
    """
    # Ours is the lower limit, and one that is known before anything is decoded.
    Image.MAX_IMAGE_PIXELS = None
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except Exception as error:
        raise ModelError(
            f"The image cannot be read: its {len(content)} bytes are no picture of a format known "
            f"here ({', '.join(FORMATS)})."
        ) from error
    _refuse_excess(opened, scale)
    log(f"The image is a {opened.format} of {opened.width}x{opened.height} pixels.\n")
    try:
        if (frames := getattr(opened, "n_frames", 1)) > 1:
            log(f"It has {frames} frames, of which the first is taken.\n")
            opened.seek(0)
        opened.load()
        return _plain(ImageOps.exif_transpose(opened))
    except ModelError:
        raise
    except Exception as error:
        # Pillow's decoders raise whatever they stumble over in a damaged file.
        raise ModelError(f"The image cannot be read, it seems damaged: {error}.") from error


def upscale(
    image: Image.Image, *, scale: int, double: Callable[[bytes], bytes], log: Callable[[str], None]
) -> Image.Image:
    """The picture, *scale* times as wide and as high, in the same mode.

    Args:
        image: As `read` gives it.
        scale: A power of two.
        double: Makes a PNG twice as large.
        log: Told how far it is, in percent.
    """
    colours = _colours(image)
    sizes = [(image.width * done, image.height * done) for done in _powers_below(scale)]
    total = sum(len(list(_boxes(size))) for size in sizes)
    done = told = 0
    for size in sizes:
        larger = Image.new("RGB", (size[0] * 2, size[1] * 2))
        for box in _boxes(size):
            larger.paste(_doubled(colours, box, double), (box[0] * 2, box[1] * 2))
            done += 1
            if (percent := 100 * done // total) >= told + STEP_PERCENT:
                log(f"{percent}%\n")
                told = percent
        colours = larger
    return _as_before(colours, image)


def as_png(image: Image.Image) -> bytes:
    """The picture as a file, with the colour profile it carries."""
    file = io.BytesIO()
    image.save(file, "PNG", icc_profile=image.info.get("icc_profile"))
    return file.getvalue()


def example() -> tuple[bytes, bytes]:
    """The pictures of the model's example, before and after."""
    before, after = EXAMPLE["input"]["image"], EXAMPLE["output"]
    return _content(before), _content(after)


def are_alike(one: bytes, other: bytes) -> bool:
    """Whether two pictures differ by no more than rounding does."""
    opened = [Image.open(io.BytesIO(content), formats=("PNG",)) for content in (one, other)]
    apart = ImageChops.difference(*(image.convert("RGB") for image in opened))
    return max(high for _, high in ImageStat.Stat(apart).extrema) <= ROUNDING


def _content(data_url: str) -> bytes:
    return base64.b64decode(data_url.partition(",")[2])


def _refuse_excess(image: Image.Image, scale: int) -> None:
    limit = MAX_OUTPUT_PIXELS // scale**2
    if image.width * image.height > limit:
        side = int(limit**0.5)
        raise ModelError(
            f"The image of {image.width}x{image.height} pixels is too large: {scale} times as wide "
            f"and as high, this model makes at most 16 megapixels. Send at most {limit} pixels, "
            f"such as {side}x{side}."
        )


def _plain(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ModelError("The image has floating point pixels; save it with 8 bits a channel.")
    if image.mode.startswith("I"):
        # 16 bits, of which a plain conversion would cut off the lights.
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    grey = image.mode in {"1", "L", "LA", "La"}
    if image.has_transparency_data:
        plain = image.convert("LA" if grey else "RGBA")
    else:
        plain = image.convert("L" if grey else "RGB")
    profile = image.info.get("icc_profile")
    # One of inks, say, describes colours that the picture no longer has.
    keeps_profile = profile and image.mode in {"L", "LA", "P", "PA", "RGB", "RGBA"}
    plain.info = {"icc_profile": profile} if keeps_profile else {}
    return plain


def _colours(image: Image.Image) -> Image.Image:
    """The picture without its alpha, with what is near instead of what is never seen.

    The network looks around each pixel, so that black behind transparency would darken the edges.
    """
    if "A" not in image.mode:
        return image.convert("RGB")
    pixels = image.convert("RGBA")
    near = pixels.convert("RGBa").filter(ImageFilter.BoxBlur(MARGIN)).convert("RGBA")
    seen = pixels.getchannel("A").point(lambda value: 255 if value else 0)
    return Image.composite(pixels.convert("RGB"), near.convert("RGB"), seen)


def _as_before(colours: Image.Image, image: Image.Image) -> Image.Image:
    """The large *colours* in the mode, and with the alpha and the profile, of the small *image*."""
    larger = colours.convert(image.mode.removesuffix("A"))
    if "A" in image.mode:
        alpha = image.getchannel("A").resize(colours.size, Image.Resampling.BICUBIC)
        larger.putalpha(alpha)
    larger.info = dict(image.info)
    return larger


def _powers_below(scale: int) -> Iterator[int]:
    power = 1
    while power < scale:
        yield power
        power *= 2


def _boxes(size: tuple[int, int]) -> Iterator[_Box]:
    """The tiles that cover a picture of *size*."""
    width, height = size
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield left, top, min(left + TILE, width), min(top + TILE, height)


def _doubled(image: Image.Image, box: _Box, double: Callable[[bytes], bytes]) -> Image.Image:
    """What is in *box*, twice as large, made with its surroundings in sight."""
    left, top = max(0, box[0] - MARGIN), max(0, box[1] - MARGIN)
    right, bottom = min(image.width, box[2] + MARGIN), min(image.height, box[3] + MARGIN)
    file = io.BytesIO()
    image.crop((left, top, right, bottom)).save(file, "PNG", compress_level=1)
    with Image.open(io.BytesIO(double(file.getvalue())), formats=("PNG",)) as larger:
        x, y = 2 * (box[0] - left), 2 * (box[1] - top)
        width, height = 2 * (box[2] - box[0]), 2 * (box[3] - box[1])
        return larger.convert("RGB").crop((x, y, x + width, y + height))
