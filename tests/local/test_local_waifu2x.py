"""The image model: what it makes of pictures of all kinds, over real HTTP."""

import base64
import io
import os
import signal
import sys
import time

import httpx
import psutil
import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from replicate_magic.local import serve
from replicate_magic.local.waifu2x import Waifu2x

pytestmark = pytest.mark.slow

MODEL = "local/waifu2x"
needs_upscaler = pytest.mark.usefixtures("needs_upscaler")


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(mode, size=(24, 16)):
    return Image.radial_gradient("L").resize(size).convert(mode)


def colourful(size):
    bands = [Image.effect_noise(size, sigma) for sigma in (20, 40, 60)]
    return Image.merge("RGB", bands).resize((size[0] // 2, size[1] // 2)).resize(size)


def difference(one, other):
    """The mean difference of two pictures, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.fixture
def upscaled(upscaler, uploaded_to):
    """The picture that a file becomes, and its prediction."""

    def run(content, **values):
        prediction = upscaler.run(image=uploaded_to(upscaler, content), **values)
        assert prediction["status"] == "succeeded", prediction
        answer = httpx.get(prediction["output"])
        assert answer.headers["content-type"] == "image/png"
        return Image.open(io.BytesIO(answer.content)), prediction

    return run


@pytest.fixture
def refused(upscaler, uploaded_to):
    """The error of a prediction for a file."""

    def run(content, **values):
        prediction = upscaler.run(image=uploaded_to(upscaler, content), **values)
        assert (prediction["status"], prediction["output"]) == ("failed", None)
        return prediction["error"]

    return run


def workers(engine):
    return psutil.Process(engine._process.pid).children(recursive=True)


def until(condition, within_s=10):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_is_listed_and_found(api, fits):
    listed = api.get("/models").json()["results"]
    found = api.get("/search", params={"query": "image upscaler"}).json()
    fits("search", found)
    assert MODEL.partition("/")[2] in [model["name"] for model in listed]
    assert found["models"][0]["model"]["name"] == "waifu2x"
    assert api.get(f"/models/{MODEL}/readme").text.startswith("# waifu2x")


def test_its_schema_is_cogs(api, fits):
    model = api.get(f"/models/{MODEL}").json()
    fits("model", model)
    schemas = model["latest_version"]["openapi_schema"]["components"]["schemas"]
    inputs = schemas["Input"]["properties"]
    assert schemas["Input"]["required"] == ["image"]
    assert (inputs["image"]["format"], inputs["image"]["x-order"]) == ("uri", 0)
    assert [inputs[name]["x-order"] for name in inputs] == list(range(len(inputs)))
    assert all("default" in inputs[name] for name in inputs if name != "image")
    assert schemas["Output"] == {"type": "string", "title": "Output", "format": "uri"}


def test_its_example_is_a_whole_prediction_with_its_pictures(api, fits):
    example = api.get(f"/models/{MODEL}/examples").json()["results"][0]
    fits("prediction", example)
    urls = (example["input"]["image"], example["output"])
    before, after = (
        Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls
    )
    assert after.size == (before.width * 2, before.height * 2)


@needs_upscaler
def test_its_example_is_what_it_makes(upscaler):
    example = upscaler.get(f"/models/{MODEL}").json()["default_example"]
    made = httpx.get(upscaler.run(**example["input"])["output"]).content
    kept = base64.b64decode(example["output"].partition(",")[2])
    assert difference(*(Image.open(io.BytesIO(content)) for content in (made, kept))) < 1


@needs_upscaler
def test_a_prediction_is_whole(upscaled, fits):
    image, prediction = upscaled(encode(gradient("RGB")))
    fits("prediction", prediction)
    assert image.size == (48, 32)
    assert prediction["metrics"]["image_count"] == 1
    assert prediction["metrics"]["predict_time"] > 0
    assert "100%\n" in prediction["logs"]


@needs_upscaler
def test_it_is_sharper_than_plain_enlarging(upscaled):
    large = Image.new("L", (64, 64), 255)
    for x in range(8, 56, 8):
        large.paste(0, (x, 8 + x // 4, x + 4, 56))
    small = large.resize((32, 32), Image.Resampling.BOX)
    plain = small.resize((64, 64), Image.Resampling.BICUBIC)
    image, _ = upscaled(encode(small), style="art")
    assert difference(image, large) < 0.8 * difference(plain, large)


@needs_upscaler
@pytest.mark.parametrize(
    ("before", "after"),
    [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")],
)
def test_a_picture_keeps_its_kind(upscaled, before, after):
    original = gradient(before)
    image, _ = upscaled(encode(original))
    assert (image.mode, image.size) == (after, (48, 32))
    # The network, not we, decides about a pattern of single black and white pixels.
    if before != "1":
        assert difference(image.resize((24, 16)).convert("RGB"), original.convert("RGB")) < 4


@needs_upscaler
def test_alpha_is_kept(upscaled):
    original = gradient("RGB")
    alpha = Image.linear_gradient("L").resize(original.size)
    original.putalpha(alpha)
    image, _ = upscaled(encode(original), scale=4)
    assert difference(image.getchannel("A").resize(alpha.size), alpha) < 2


@needs_upscaler
def test_what_is_hidden_does_not_darken_the_edge(upscaled):
    original = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    original.paste((255, 255, 255, 255), (0, 0, 16, 32))
    image, _ = upscaled(encode(original))
    visible = image.getchannel("A").point(lambda value: 255 if value else 0)
    darkest = ImageStat.Stat(image.convert("RGB"), mask=visible).extrema
    assert min(low for low, _ in darkest) > 240


@needs_upscaler
def test_a_palettes_transparency_is_kept(upscaled):
    original = Image.new("P", (8, 8), 0)
    original.putpalette([255, 0, 0, 0, 0, 255])
    original.paste(1, (4, 0, 8, 8))
    image, _ = upscaled(encode(original, transparency=0))
    assert image.mode == "RGBA"
    assert (image.getpixel((0, 8))[3], image.getpixel((15, 8))[3]) == (0, 255)


@needs_upscaler
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("scale", [2, 4])
def test_one_pixel_is_a_picture(upscaled, mode, scale):
    colour = Image.new("RGB", (1, 1), (200, 120, 40)).convert(mode)
    image, _ = upscaled(encode(colour), scale=scale)
    assert (image.mode, image.size) == (mode, (scale, scale))
    assert difference(image.resize((1, 1)), colour) < 12


@needs_upscaler
def test_what_is_not_square_may_be_one_pixel_thin(upscaled):
    assert upscaled(encode(gradient("RGB", (600, 1))))[0].size == (1200, 2)


@needs_upscaler
def test_sixteen_bits_become_eight(upscaled):
    original = Image.new("I;16", (8, 8), 0x8000)
    image, _ = upscaled(encode(original))
    assert (image.mode, image.size) == ("L", (16, 16))
    assert abs(image.getpixel((8, 8)) - 0x80) < 4


@needs_upscaler
def test_inks_become_colours(upscaled):
    image, _ = upscaled(encode(gradient("RGB").convert("CMYK"), "JPEG"))
    assert (image.mode, image.size) == ("RGB", (48, 32))


@needs_upscaler
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_other_formats_are_read(upscaled, kind):
    image, prediction = upscaled(encode(gradient("RGB"), kind))
    assert (image.format, image.size) == ("PNG", (48, 32))
    assert f"is a {kind} of 24x16 pixels" in prediction["logs"]


@needs_upscaler
def test_a_cameras_rotation_is_carried_out(upscaled):
    original = Image.new("RGB", (32, 16), "red")
    original.paste("blue", (16, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # seen from the camera, the top is on the right
    image, _ = upscaled(encode(original, "JPEG", exif=exif, quality=95))
    assert image.size == (32, 64)
    assert image.getpixel((16, 8))[0] > 200
    assert image.getpixel((16, 56))[2] > 200
    assert image.getexif().get(0x0112, 1) == 1


@needs_upscaler
def test_of_an_animation_the_first_frame_is_taken(upscaled):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    image, prediction = upscaled(content)
    assert image.convert("RGB").getpixel((8, 8))[0] > 240
    assert "It has 2 frames" in prediction["logs"]


@needs_upscaler
def test_the_colour_profile_is_kept(upscaled):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image, _ = upscaled(encode(gradient("RGB"), icc_profile=profile))
    assert image.info["icc_profile"] == profile


@needs_upscaler
def test_tiles_join_without_a_seam(upscaled):
    original = colourful((300, 80))
    whole, _ = upscaled(encode(original))
    across, _ = upscaled(encode(original.crop((200, 0, 300, 80))))
    seen = [image.convert("RGB") for image in (whole.crop((440, 0, 600, 160)), across)]
    apart = ImageChops.difference(seen[0], seen[1].crop((40, 0, 200, 160)))
    assert max(high for _, high in apart.getextrema()) <= 2


@needs_upscaler
@pytest.mark.parametrize("style", ["photo", "art"])
def test_noise_is_removed_as_asked(upscaled, style):
    noisy = Image.effect_noise((48, 48), 12).convert("RGB")
    left, removed = (
        ImageStat.Stat(upscaled(encode(noisy), noise=noise, style=style)[0]).stddev[0]
        for noise in (-1, 3)
    )
    assert removed < 0.8 * left


@needs_upscaler
def test_the_same_picture_becomes_the_same(upscaled):
    content = encode(colourful((40, 40)))
    assert upscaled(content)[0].tobytes() == upscaled(content)[0].tobytes()


@needs_upscaler
def test_a_data_url_is_a_picture(upscaler):
    url = "data:image/png;base64," + base64.b64encode(encode(gradient("RGB"))).decode()
    prediction = upscaler.run(image=url)
    assert prediction["status"] == "succeeded"
    assert prediction["output"].startswith(upscaler.engine.base_url)


@needs_upscaler
def test_its_stream_gives_the_url_and_the_progress(upscaler, upscaled):
    _, prediction = upscaled(encode(gradient("RGB")))
    events = [(event, data) for _, event, data in upscaler.events(prediction)]
    assert ("output", prediction["output"]) in events
    assert ("logs", "100%") in events
    assert events[-1] == ("done", "{}")


@needs_upscaler
def test_its_url_is_not_for_those_who_guess(upscaled):
    _, prediction = upscaled(encode(gradient("RGB")))
    assert httpx.get(prediction["output"].partition("?")[0]).status_code == 401


@needs_upscaler
def test_two_at_once_do_not_mix(upscaler, uploaded_to):
    colours = ["red", "lime", "blue"]
    created = [
        upscaler.create(image=uploaded_to(upscaler, encode(Image.new("RGB", (30, 30), colour))))
        for colour in colours
    ]
    for colour, prediction in zip(colours, created, strict=True):
        content = httpx.get(upscaler.final(prediction)["output"]).content
        expected = Image.new("RGB", (60, 60), colour)
        assert difference(Image.open(io.BytesIO(content)), expected) < 3


@needs_upscaler
@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe"]
)
def test_what_is_no_picture_is_refused(refused, content):
    assert "The image cannot be read" in refused(content)


@needs_upscaler
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_half_a_picture_is_refused(refused, kind):
    content = encode(colourful((64, 64)), kind)
    assert "The image cannot be read" in refused(content[: len(content) // 2])


@needs_upscaler
def test_the_next_prediction_runs_after_a_broken_picture(refused, upscaled):
    refused(b"garbage")
    assert upscaled(encode(gradient("RGB")))[0].size == (48, 32)


@needs_upscaler
@pytest.mark.parametrize(("size", "scale"), [((4097, 1024), 2), ((1025, 1024), 4)])
def test_a_picture_too_large_is_refused(refused, size, scale):
    error = refused(encode(Image.new("L", size)), scale=scale)
    assert f"{size[0]}x{size[1]} pixels is too large" in error
    assert "at most 16 megapixels" in error


@needs_upscaler
def test_a_picture_that_would_fill_the_memory_is_refused_unread(refused):
    assert "too large" in refused(encode(Image.new("1", (30_000, 30_000))))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "input"),
        ({"image": "a.png"}, "input.image"),
        ({"image": "data:,", "scale": 3}, "input.scale"),
        ({"image": "data:,", "noise": 4}, "input.noise"),
        ({"image": "data:,", "style": "oil"}, "input.style"),
    ],
)
def test_wrong_input_is_a_422(upscaler, values, field):
    answer = upscaler.post(f"/models/{MODEL}/predictions", json={"input": values})
    assert answer.status_code == 422
    assert [wrong["field"] for wrong in answer.json()["invalid_fields"]] == [field]


@needs_upscaler
def test_a_file_that_was_deleted_is_named(upscaler, uploaded_to):
    url = uploaded_to(upscaler, b"x")
    upscaler.delete(url)
    prediction = upscaler.run(image=url)
    assert prediction["status"] == "failed"
    assert url in prediction["error"]


@needs_upscaler
def test_cancel_ends_the_process(upscaler, uploaded_to, engine):
    url = uploaded_to(upscaler, encode(Image.new("RGB", (2000, 2000), "white")))
    running = upscaler.until(upscaler.create(image=url), lambda shown: "%" in shown["logs"])
    assert workers(engine)
    upscaler.cancel(running)
    assert upscaler.final(running, within_s=5)["status"] == "canceled"
    assert workers(engine) == []


@needs_upscaler
@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_its_process_ends_with_a_killed_engine(api_of, uploaded_to):
    with serve() as engine:
        api = api_of(engine)
        api.model = MODEL
        url = uploaded_to(api, encode(Image.new("RGB", (2000, 2000), "white")))
        api.until(api.create(image=url), lambda shown: "%" in shown["logs"])
        running = workers(engine)
        os.kill(engine._process.pid, signal.SIGKILL)
        assert running
        until(lambda: not any(worker.is_running() for worker in running))


def test_without_its_library_it_is_listed_with_the_reason(served, monkeypatch):
    monkeypatch.setitem(sys.modules, "sr_vulkan", None)
    with served([Waifu2x()]) as client:
        model = client.get(f"/models/{MODEL}").json()
        prediction = client.post(
            f"/models/{MODEL}/predictions", json={"input": {"image": "data:,"}}
        ).json()
    assert "Unavailable on this machine: local/waifu2x needs sr-vulkan" in model["description"]
    assert prediction["status"] == "failed"
    assert "pip install sr-vulkan " in prediction["error"]
