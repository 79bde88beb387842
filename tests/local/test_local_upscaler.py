"""What happens when the upscaling library breaks: a stand-in for it, in the real worker process."""

import base64
import io
import sys
import textwrap
import threading
import time

import pytest
from PIL import Image

from replicate_magic.local.model import Log, Metrics, ModelError, Output
from replicate_magic.local.waifu2x import Waifu2x, _is_loadable
from replicate_magic.local.waifu2x.process import Crashed

LIBRARY = '''
"""Has sr-vulkan's functions, enlarges without a network, and breaks as it is told."""
import io, os, signal, sys, time
from PIL import Image
from replicate_magic.local.waifu2x import picture

print("noise of native code", flush=True)
HERE = os.path.dirname(__file__)
MODEL_WAIFU2X_PHOTO_UP2X, MODEL_WAIFU2X_ANIME_UP2X = 1, 2
done, device = [], None

def told(word):
    with open(os.path.join(HERE, "told"), "a") as file:
        print(word, file=file)

def init():
    told("init")
    {init}
    return {found}

def getGpuInfo():
    return {cards}

def initSet(gpuId):
    global device
    device = gpuId
    told(f"device {{gpuId}}")
    return 0

def add(tile, model, number, scale, format):
    told(f"add {{number}}")
    {add}
    if model == MODEL_WAIFU2X_ANIME_UP2X:
        done.append(({check}, "png", number, 0.1))
        return 1
    image = Image.open(io.BytesIO(tile))
    file = io.BytesIO()
    image.resize((image.width * 2, image.height * 2), 0).save(file, "PNG")
    done.append((file.getvalue(), "png", number, 0.1))
    return 1

def load(block):
    {load}
    return done.pop() if done else None

def getLastError():
    return "the reason"
'''
WORKS = {"init": "pass", "found": "-1", "cards": "None", "add": "pass", "load": "pass"}
WORKS["check"] = "picture.example()[1]"
CARDS = {**WORKS, "found": "0", "cards": "['llvmpipe (LLVM 19)', 'Some Card']"}
DIES = "os.kill(os.getpid(), 9)"


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Puts a stand-in before the real library; gives what it was told."""
    folder = tmp_path / "sr_vulkan"
    folder.mkdir()
    folder.joinpath("__init__.py").touch()

    def install(**parts):
        source = textwrap.dedent(LIBRARY).format(**parts)
        folder.joinpath("sr_vulkan.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return lambda: folder.joinpath("told").read_text().splitlines()

    return install


@pytest.fixture
def image(tmp_path):
    """A picture's data URL, as an input with the defaults filled in."""
    file = io.BytesIO()
    Image.new("RGB", (300, 10), "red").save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return {"image": url, "scale": 2, "noise": -1, "style": "photo"}


def run(model, values, canceled=None):
    """The picture that the model made, or None, and its logs."""
    events = []
    model.run(values, events.append, canceled or threading.Event())
    pictures = [event.value.content for event in events if isinstance(event, Output)]
    logs = "".join(event.text for event in events if isinstance(event, Log))
    assert len(pictures) == sum(isinstance(event, Metrics) for event in events)
    return (pictures or [None])[0], logs


def size(picture):
    return Image.open(io.BytesIO(picture)).size


def test_each_tile_is_told_once_and_noise_gets_between_no_words(library, image):
    told = library(**WORKS)
    picture, logs = run(Waifu2x(), image)
    assert size(picture) == (600, 20)
    assert told() == ["init", "device -1", "add 1", "add 2"]
    assert "Upscaling on the CPU." in logs


def test_a_real_graphics_card_is_preferred(library, image):
    told = library(**CARDS)
    assert "Upscaling on Some Card." in run(Waifu2x(), image)[1]
    assert told()[1] == "device 1"


def test_vulkan_without_a_graphics_card_is_not_used(library, image):
    told = library(**{**CARDS, "cards": "['llvmpipe (LLVM 19)']"})
    assert "Upscaling on the CPU." in run(Waifu2x(), image)[1]
    assert told()[1] == "device -1"


@pytest.mark.parametrize(
    "broken",
    [
        {"add": f"device < 0 or {DIES}"},
        {"load": "if device >= 0: return (None, '', 1, 0.0)"},
        {"init": f"os.environ.get('VK_DRIVER_FILES') or {DIES}"},
        {"check": "picture.as_png(Image.new('RGB', (40, 40), 'white'))"},
    ],
    ids=["dies", "gives nothing", "dies in its driver", "computes wrongly"],
)
def test_without_a_working_card_it_goes_on_the_cpu_and_remembers(library, image, broken):
    told = library(**{**CARDS, **broken})
    model = Waifu2x()
    picture, logs = run(model, image)
    assert size(picture) == (600, 20)
    assert "without the graphics card" in logs
    assert "device 1" not in told()[-3:]
    assert "graphics card" not in run(model, image)[1]


def test_a_crash_on_the_cpu_is_the_predictions_error(library, image):
    library(**{**WORKS, "add": DIES})
    with pytest.raises(Crashed, match="before it had made a picture"):
        run(Waifu2x(), image)


def test_no_picture_is_the_predictions_error(library, image):
    library(**{**WORKS, "load": "return (None, '', 1, 0.0)"})
    with pytest.raises(Crashed, match="The upscaler failed: the reason"):
        run(Waifu2x(), image)


def test_a_library_that_cannot_be_loaded_says_why(library, image):
    library(**{**WORKS, "init": "raise ImportError('not this')"})
    with pytest.raises(Crashed, match="Its last words: ImportError: not this"):
        run(Waifu2x(), image)


def test_a_library_that_is_not_there_says_so(tmp_path, monkeypatch, image):
    tmp_path.joinpath("sr_vulkan.py").write_text("raise ImportError('libx.so.1 is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"cannot be loaded on this machine: libx\.so\.1"):
        run(Waifu2x(), image)


def test_a_process_that_dies_unasked_is_the_predictions_error(tmp_path, monkeypatch, image):
    tmp_path.joinpath("ssl.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Crashed, match="ended with code 3"):
        run(Waifu2x(), {**image, "image": "data:," + "x" * 5_000_000})


def test_a_library_that_hangs_can_be_canceled(library, image):
    library(**{**WORKS, "load": "time.sleep(60)"})
    canceled = threading.Event()
    threading.Timer(0.5, canceled.set).start()
    began = time.monotonic()
    assert run(Waifu2x(), image, canceled)[0] is None
    assert time.monotonic() - began < 5


@pytest.mark.skipif(sys.platform != "linux", reason="asked on Linux only")
def test_a_system_library_is_looked_for():
    assert _is_loadable("libc.so.6")
    assert not _is_loadable("libnowhere.so.1")
