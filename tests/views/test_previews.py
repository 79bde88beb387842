"""Pictures that are made small enough for a notebook, and those that are no pictures at all."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import time
import zlib
from io import BytesIO

import pytest

from replicate_magic.prediction import OutputFile
from replicate_magic.views.previews import MOST, bytes_of, previews

Image = pytest.importorskip("PIL.Image")
CAP = 40_000


def noisy(width, height, mode="RGB"):
    """A picture that no format makes small."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    noise = hashlib.shake_128(mode.encode()).digest(width * height * channels)
    return Image.frombytes(mode, (width, height), noise)


def encoded(image, kind, **options):
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def output(data, kind="PNG", name="1", **fields):
    return OutputFile(
        **{
            "url": f"https://x/{name}",
            "media_type": f"image/{kind.lower()}",
            "size_bytes": len(data),
            "preview": data,
            **fields,
        }
    )


def only(file, most_bytes=CAP):
    """The preview of one picture; none is `None`."""
    found = previews([file], most_bytes)
    assert found.hint == ""
    assert len(found.drawn) <= 1
    return found.drawn[0] if found.drawn else None


def opened(preview):
    image = Image.open(BytesIO(preview.data))
    assert preview.media_type == f"image/{image.format.lower()}"
    return image


LARGE = encoded(noisy(400, 300), "PNG")


# -- as it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_small_picture_stays_as_it_is_byte_for_byte(kind):
    data = encoded(Image.new("RGB", (20, 10), "red"), kind)
    preview = only(output(data, kind))

    assert (preview.data, preview.media_type) == (data, f"image/{kind.lower()}")
    assert preview.change == ""


def test_what_moves_goes_on_moving_where_it_is_small():
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert opened(only(output(data, "GIF"))).n_frames == 3


def test_pillow_is_not_loaded_for_pictures_that_fit():
    program = (
        "import sys; from replicate_magic.prediction import OutputFile, Prediction\n"
        "from replicate_magic.views import Look\n"
        "from replicate_magic.views.html import document\n"
        "png = {'media_type': 'image/png', 'size_bytes': 9, 'preview': b'x' * 9}\n"
        "file = OutputFile(url='https://x/1', **png)\n"
        "raw = {'status': 'succeeded', 'output': ['https://x/1', {}]}\n"
        "p = Prediction(model='a/b', shape='files', raw=raw, fetched=(file,))\n"
        "assert 'image/png' in document(p, None, Look()).bundles[1]\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'PIL']\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# -- smaller ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_a_large_picture_becomes_a_smaller_one(mode):
    data = encoded(noisy(900, 600).convert(mode), "PNG")
    preview = only(output(data))
    image = opened(preview)

    assert len(preview.data) <= CAP < len(data)
    assert preview.media_type == "image/jpeg"
    assert preview.change == "smaller"
    assert image.width / image.height == pytest.approx(1.5, rel=0.02)
    assert image.width > 150


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGB")])
def test_so_does_one_of_another_format(kind, mode):
    data = encoded(noisy(900, 600, mode), kind, quality=95)

    assert len(only(output(data, kind)).data) <= CAP < len(data)


def test_a_picture_keeps_what_is_clear_in_it():
    image = noisy(400, 400, "RGB").convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 200, 400))
    preview = only(output(encoded(image, "PNG")))
    small = opened(preview)

    assert preview.media_type == "image/png"
    assert len(preview.data) <= CAP
    assert small.getpixel((2, 2))[3] == 0
    assert small.getpixel((small.width - 3, 2))[3] == 255


def test_one_colour_can_be_clear_too():
    image = noisy(400, 400).quantize(64)
    data = encoded(image, "PNG", transparency=image.getpixel((0, 0)))

    assert opened(only(output(data))).mode == "RGBA"


def test_an_alpha_channel_that_hides_nothing_costs_nothing():
    image = noisy(400, 400).convert("RGBA")

    assert only(output(encoded(image, "PNG"))).media_type == "image/jpeg"


def test_sixteen_bits_of_grey_keep_their_shades():
    row = struct.pack(">B600H", 0, *(round(65_535 * x / 599) for x in range(600)))
    header = struct.pack(">IIBBBBB", 600, 400, 16, 0, 0, 0, 0)
    data = png((b"IHDR", header), (b"IDAT", zlib.compress(row * 400, 0)))
    small = opened(only(output(data))).convert("L")
    shades = [small.getpixel((small.width * x // 8, small.height // 2)) for x in (1, 4, 7)]

    assert shades == pytest.approx([32, 128, 223], abs=8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(orientation):
    from PIL import ImageOps

    image = noisy(40, 20).resize((600, 300), 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "JPEG", quality=95, exif=exif)
    small = opened(only(output(data, "JPEG"), 20_000))
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data))).resize(small.size)
    off = [abs(a - b) for a, b in zip(small.tobytes(), upright.tobytes(), strict=True)]

    assert (small.width > small.height) == (orientation < 5)
    assert sum(off) / len(off) < 12
    assert small.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_what_moves_and_is_large_the_first_frame_is_drawn(kind):
    frames = [noisy(300, 300), Image.new("RGB", (300, 300), "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    preview = only(output(data, kind))

    assert preview.change == "its first frame"
    assert preview.media_type == "image/jpeg"
    assert opened(preview).getpixel((2, 2)) != (0, 0, 255)


def test_a_picture_that_was_only_saved_is_read_from_where_it_lies(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(LARGE)
    small = tmp_path / "small.png"
    small.write_bytes(encoded(Image.new("RGB", (4, 4)), "PNG"))

    assert len(only(output(LARGE, preview=None, path=path)).data) <= CAP
    whole = only(output(b"", preview=None, path=small, size_bytes=small.stat().st_size))
    assert whole.data == small.read_bytes()


def test_a_file_that_has_grown_since_is_not_read_whole(tmp_path):
    path = tmp_path / "grown.mp3"
    path.write_bytes(bytes(5_000))

    assert bytes_of(output(b"x", preview=None, path=path), 4_000) is None
    assert bytes_of(output(b"x", preview=None, path=path), 5_000) == bytes(5_000)


# -- many -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 4, 10, 30])
def test_many_pictures_together_are_no_more_than_four(number):
    files = [output(LARGE, name=n) for n in range(number)]
    found = previews(files, CAP).drawn

    assert [preview.file for preview in found] == files
    assert sum(len(preview.data) for preview in found) <= 4 * CAP
    assert all(len(preview.data) <= CAP for preview in found)


def test_of_very_many_the_first_are_drawn():
    data = encoded(Image.new("RGB", (4, 4)), "PNG")
    files = [output(data, name=n) for n in range(500)]

    assert len(previews(files, CAP).drawn) == MOST


def test_what_is_no_picture_is_none():
    files = [
        output(b"ID3", media_type="audio/mpeg"),
        output(b"<svg/>", media_type="image/svg+xml"),
        output(b"x", media_type=None),
        OutputFile(url="https://x/1", media_type="image/png", size_bytes=9),
    ]
    assert previews(files, CAP).drawn == []


def test_nothing_is_drawn_where_no_room_is_given():
    assert previews([output(b"x")], 0).drawn == []
    assert previews([output(LARGE)], 10).drawn == []


# -- hostile ----------------------------------------------------------------------------------


def png(*chunks):
    """A PNG of any chunks."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, body in (*chunks, (b"IEND", b"")):
        sums = struct.pack(">I", zlib.crc32(kind + body))
        parts.append(struct.pack(">I", len(body)) + kind + body + sums)
    return b"".join(parts)


def bomb(width, height, data=b"x" * CAP):
    return png((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), (b"IDAT", data))


def of_many_scans():
    """A JPEG that tells all of its pixels a thousand times, which takes Pillow ten seconds."""
    data = encoded(Image.new("RGB", (4_000, 4_000), "red"), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xc4", 0, data.rfind(b"\xff\xda"))
    return data[:-2] + data[last:-2] * 1_000 + data[-2:]


HOSTILE = {
    "nothing": (b"", "PNG"),
    "noise": (bytes(range(256)) * 400, "PNG"),
    "only_its_name": (b"\x89PNG\r\n\x1a\n" + bytes(CAP), "PNG"),
    "torn": (LARGE[: len(LARGE) // 2], "PNG"),
    "torn_jpeg": (encoded(noisy(400, 300), "JPEG", quality=95)[:60_000], "JPEG"),
    "another_kind": (encoded(noisy(300, 300), "BMP"), "PNG"),
    "of_no_size": (bomb(0, 0), "PNG"),
    "wide": (bomb(2**31 - 1, 1), "PNG"),
    "a_bomb": (bomb(60_000, 60_000), "PNG"),
    "a_small_bomb": (bomb(9_500, 9_500, zlib.compress(bytes(9_500 * 38_001), 1)), "PNG"),
    "many_scans": (of_many_scans(), "JPEG"),
    "words": (b"GIF89a" + b"\xff" * CAP, "GIF"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(CAP), "PNG"),
    "webp": (b"RIFF\xff\xff\xff\x7fWEBPVP8X" + b"\xff" * CAP, "WEBP"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_no_picture_and_takes_no_time(name):
    data, kind = HOSTILE[name]
    began_s = time.monotonic()

    assert only(output(data, kind)) is None
    assert time.monotonic() - began_s < 3


def test_a_file_that_is_gone_or_none_is_no_picture(tmp_path):
    for path in (tmp_path, tmp_path / "gone.png"):
        for size_bytes in (9, CAP + 1):
            file = output(b"", preview=None, path=path, size_bytes=size_bytes)
            assert only(file) is None


def test_a_picture_beside_a_broken_one_is_drawn():
    files = [output(LARGE[:60_000], name="1"), output(LARGE, name="2")]

    assert [preview.file.url for preview in previews(files, CAP).drawn] == ["https://x/2"]


def test_without_pillow_large_ones_are_not_drawn_and_it_is_told_what_would(monkeypatch):
    small = output(encoded(Image.new("RGB", (4, 4)), "PNG"), name="2")
    monkeypatch.setitem(sys.modules, "PIL", None)
    found = previews([output(LARGE), small], CAP)

    assert [preview.file for preview in found.drawn] == [small]
    assert "pip install pillow" in found.hint
    assert previews([small], CAP).hint == ""


def test_in_a_terminal_no_picture_is_made_ready():
    program = (
        "from IPython.terminal.interactiveshell import TerminalInteractiveShell\n"
        "from replicate_magic.views import Look\n"
        "assert Look().preview_bytes == 300_000\n"
        "TerminalInteractiveShell.instance()\n"
        "assert Look().preview_bytes == 0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
