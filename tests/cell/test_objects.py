"""Objects of a notebook as inputs: pictures, arrays, tables, figures, predictions."""

from __future__ import annotations

import base64
import io
import subprocess
import sys

import cog_schemas as cog
import numpy as np
import pandas as pd
import pytest

from replicate_magic.cell.plan import Draft, plan, read_target
from replicate_magic.cell.schema import read_schema
from replicate_magic.errors import InputError
from replicate_magic.prediction import OutputFile, Prediction

Image = pytest.importorskip("PIL.Image")
FILE = cog.openapi({"x": {"type": "string", "format": "uri"}})
FILES = cog.openapi({"x": {"type": "array", "items": {"type": "string", "format": "uri"}}})
TEXT = cog.openapi({"x": {"type": "string"}})
LIST = cog.openapi({"x": {"type": "array", "items": {}}})
TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def sent(value, openapi=None):
    draft = Draft(inputs={"x": value})
    return plan(
        read_target("a/b"), draft, read_schema(openapi), lambda path, _: path.read_bytes()
    ).input["x"]


def picture(url):
    """The picture in a data URL."""
    head, _, body = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK"])
@pytest.mark.parametrize("openapi", [None, FILE])
def test_a_picture_is_sent_as_a_png(mode, openapi):
    assert picture(sent(Image.new(mode, (3, 2)), openapi)).size == (3, 2)


def test_an_array_is_a_picture_where_a_file_is_taken_and_a_list_elsewhere():
    array = np.zeros((2, 3, 3), "uint8")
    array[0, 0] = (255, 0, 0)

    assert picture(sent(array, FILE)).getpixel((0, 0)) == (255, 0, 0)
    assert picture(sent(np.full((2, 3), 0.5), FILE)).getpixel((0, 0)) == 128
    assert sent(np.array([[1, 2]]), LIST) == [[1, 2]]
    with pytest.raises(InputError, match=r"shape \(2, 3, 7\), which is no picture"):
        sent(np.zeros((2, 3, 7)), FILE)


def test_a_figure_is_sent_as_a_png():
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(1, 1))
    figure.subplots().plot([1, 2])

    assert picture(sent(figure, FILE)).size[0] > 10


def test_a_table_is_text_a_file_or_records():
    assert sent(TABLE, TEXT) == "a,b\n1,x\n2,y\n"
    assert sent(TABLE, FILE).startswith("data:text/csv;base64,")
    assert sent(TABLE) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert sent(TABLE["a"], LIST) == [1, 2]
    assert sent(TABLE["b"], TEXT) == "b\nx\ny\n"


def test_a_prediction_goes_into_the_next_model(tmp_path):
    url = "https://replicate.delivery/a/out.png"
    saved = tmp_path / "out.png"
    Image.new("RGB", (2, 2)).save(saved)
    made = Prediction(model="a/b", raw={"status": "succeeded", "output": [url]})
    said = Prediction(model="a/b", raw={"status": "succeeded", "output": "Hello"})

    assert sent(made, FILE) == url
    assert sent(made, FILES) == [url]
    assert sent(said, TEXT) == sent(said) == "Hello"
    assert sent(OutputFile(url=url)) == url
    assert picture(sent(OutputFile(url=url, path=saved), FILE)).size == (2, 2)


def test_no_library_is_imported_for_objects_that_are_none_of_its_own():
    code = (
        "import sys; from replicate_magic.cell.plan import Draft, plan, read_target\n"
        "from replicate_magic.cell.schema import read_schema\n"
        "draft = Draft(inputs={'x': b'abc', 'y': [1], 'z': 'text'})\n"
        "plan(read_target('a/b'), draft, read_schema(None), None)\n"
        "print({'PIL', 'numpy', 'matplotlib', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
