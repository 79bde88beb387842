"""From a line, a body and a schema to the JSON that is sent."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import io
import json
import math
import os
import sys
import tempfile
import traceback
from pathlib import Path

import cog_schemas as cog
import numpy as np
import pandas as pd
import pytest

from replicate_magic.cell.files import DATA_URL_BYTES, MOST_FILE_BYTES, media_type_of
from replicate_magic.cell.grammar import Given, parse_line
from replicate_magic.cell.objects import LargeFile
from replicate_magic.cell.plan import Draft, Target, plan, read_cell, read_target
from replicate_magic.cell.schema import Schema, read_schema
from replicate_magic.errors import CellError, InputError, TemplateError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
JPEG = b"\xff\xd8\xff\xe0" + bytes(8)


def read_bytes(path, most):
    with path.open("rb") as file:
        return file.read(most)


def planned(line, body=None, openapi=None, **names):
    """The input that a cell sends."""
    draft = read_cell(parse_line(line), body, lambda source: eval(source, dict(names)))
    return plan(read_target("a/b"), draft, read_schema(openapi), read_bytes).input


def sent(value, openapi=None, name="x"):
    """What is sent for one Python object."""
    draft = Draft(inputs={name: value})
    return plan(read_target("a/b"), draft, read_schema(openapi), read_bytes).input[name]


def data_url(media_type, data):
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


# -- what is to run ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "owner", "name", "version"),
    [
        ("meta/llama-3", "model", "meta", "llama-3", None),
        ("a/b.c_d-e", "model", "a", "b.c_d-e", None),
        ("A1/2b", "model", "A1", "2b", None),
        ("a/b:0123abcd", "version", "a", "b", "0123abcd"),
        ("deployment:a/b", "deployment", "a", "b", None),
        ("local/smollm2-135m-instruct", "model", "local", "smollm2-135m-instruct", None),
    ],
)
def test_a_target_is_read_and_written_the_same(text, kind, owner, name, version):
    target = read_target(text)

    assert target == Target(kind=kind, owner=owner, name=name, version=version)
    assert str(target) == text
    assert target.is_local == (owner == "local")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "llama", "a/", "/b", "a/b/c", "a/b:", "a//b", "a b/c", "a/b c", "-a/b"),
        *("a/../b", "a/b:c:d", "deployment:a", "deployment:a/b:c", "a/b\n", "a/b?c"),
    ],
)
def test_what_is_no_target_is_refused(text):
    with pytest.raises(CellError, match=r"is not a model\. Write owner/name"):
        read_target(text)


def test_an_address_is_a_cog_server():
    target = read_target("http://localhost:5000/")

    assert target == Target(kind="cog", owner="", name="http://localhost:5000")
    assert str(target) == "http://localhost:5000"
    assert not target.is_local


def test_a_page_of_replicate_is_the_model_that_it_shows():
    assert read_target("https://replicate.com/a/b") == read_target("a/b")
    with pytest.raises(CellError, match="is not a model"):
        read_target("https://replicate.com/a/b/examples")


# -- the cell ---------------------------------------------------------------------------------


def test_line_header_and_body_come_together():
    body = "---\nmax_tokens: {{n}}\nsystem_prompt: Be\n  brief\n---\nHello {{who}}\n"

    assert planned("a/b temperature=0.5", body, cog.CHAT, n=5, who="you") == {
        "max_tokens": 5,
        "system_prompt": "Be\nbrief",
        "temperature": 0.5,
        "prompt": "Hello you",
    }


def test_the_line_wins_over_the_header_and_both_over_a_dict():
    body = "---\na: header\nb: header\n---\n"

    assert planned("a=line --input-from d", body, d={"a": 0, "b": 0, "c": 0}) == {
        "a": "line",
        "b": "header",
        "c": 0,
    }


def test_expressions_are_evaluated_once_each_in_the_order_they_are_read():
    seen = []
    body = "---\nb: {{2}}\n---\n{{4}} {{5}}"
    read_cell(parse_line("c={{3}}"), body, lambda source: seen.append(source) or source)

    assert seen == ["2", "3", "4", "5"]


@pytest.mark.parametrize("body", [None, "", "\n", "  \n\t\n", "---\nseed: 1\n---\n\n", "{{''}}"])
def test_a_blank_body_sends_no_prompt(body):
    assert "prompt" not in planned("a/b", body, cog.CHAT)


def test_a_blank_body_is_an_error_where_a_prompt_is_required():
    with pytest.raises(InputError, match="a/b requires prompt"):
        planned("a/b", "\n", cog.FLUX)


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ("hi\n", "hi"),
        ("hi", "hi"),
        ("hi\n\n", "hi\n"),
        ("  hi \n", "  hi "),
        ("@file\n", "@file"),
        ("5\n", "5"),
        ('{"a": 1}\n', '{"a": 1}'),
        ("k=v --raw -o x\n", "k=v --raw -o x"),
    ],
)
def test_the_body_is_text_without_its_last_newline(body, prompt):
    assert planned("a/b", body, cog.CHAT) == {"prompt": prompt}


def test_what_was_written_is_kept_beside_what_it_became():
    def draft(line, body):
        return read_cell(parse_line(line), body, lambda source: eval(source, {"n": 3}))

    assert draft("", "---\na: 1\n---\n{{n}} owls\n").template == "{{n}} owls"
    assert draft("", "---\na: 1\n---\n{{n}} owls\n").prompt == "3 owls"
    assert draft("", "three owls\n").template is None
    assert draft("--raw", "{{n}} owls").template is None


@pytest.mark.parametrize(
    ("line", "body", "prompt"),
    [
        ("", "Hi", "Hi"),
        ("prompt=Hi", None, "Hi"),
        ("text=Hi --prompt-key text", None, "Hi"),
        ("prompt:=5", None, ""),
        ("seed=5", None, ""),
    ],
)
def test_a_request_tells_which_of_its_inputs_is_the_prompt(line, body, prompt):
    draft = read_cell(parse_line(line), body, eval)

    assert plan(read_target("a/b"), draft, read_schema(None), read_bytes).prompt == prompt


def test_raw_takes_header_and_braces_as_text():
    body = "---\na: 1\n---\n{{unknown}}\n"

    assert planned("--raw k={{unknown}}", body) == {"k": "{{unknown}}", "prompt": body[:-1]}


@pytest.mark.parametrize(
    ("openapi", "line", "key"),
    [
        (None, "", "prompt"),
        (cog.CHAT, "", "prompt"),
        (cog.NEWER, "text=t", "question"),
        (cog.CHAT, "--prompt-key system_prompt", "system_prompt"),
        (cog.WHISPER, "audio=https://x --prompt-key initial_prompt", "initial_prompt"),
    ],
)
def test_the_body_goes_to_the_input_for_it(openapi, line, key):
    assert planned(line, "body", openapi)[key] == "body"


@pytest.mark.parametrize(
    ("openapi", "line", "message"),
    [
        (cog.WHISPER, "audio=https://x", r"could go to\. Its inputs: audio, model,.*--prompt-key"),
        (cog.openapi({}), "", r"could go to\. Its inputs: none\."),
        (cog.CHAT, "prompt=x", "prompt is given twice: as an input and as the body"),
        (cog.CHAT, "--prompt-key debug", "debug=body: expected boolean"),
        (cog.CHAT, "--prompt-key promt", r"no input promt\. Did you mean prompt\?"),
        (cog.CHAT, "--input-from d", "prompt is given twice"),
    ],
)
def test_a_body_that_can_go_nowhere_says_so(openapi, line, message):
    with pytest.raises(InputError, match=message):
        planned(line, "body", openapi, d={"prompt": "x"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "that is no dict"),
        ({1: 2}, "that is no dict with names as keys"),
        (None, "that is no dict"),
    ],
)
def test_inputs_come_from_a_dict_alone(value, message):
    with pytest.raises(CellError, match=message):
        planned("--input-from d", d=value)


def test_a_dict_that_does_not_exist_is_named():
    with pytest.raises(CellError, match="--input-from d: there is no variable d"):
        planned("--input-from d")


def test_an_expression_that_fails_names_raw():
    with pytest.raises(TemplateError, match="--raw"):
        planned("k={{nothing}}")


def test_the_body_for_a_list_of_texts_is_one_of_them():
    line = "text=t question=q --prompt-key tags"

    assert planned(line, "one, two\nthree\n", cog.NEWER)["tags"] == ["one, two\nthree"]


def test_all_that_is_wrong_with_a_cell_is_told_at_once(tmp_path):
    body = "---\nmax_tokens: many\ndebug: maybe\n---\nHi"

    with pytest.raises(InputError) as raised:
        planned("temprature=1 top_p=2 seed:=x stop_sequences=@nothing", body, cog.CHAT)
    assert str(raised.value).split("\n") == [
        "max_tokens=many: expected integer.",
        "debug=maybe: expected boolean.",
        "seed:=x is not JSON: Expecting value: line 1 column 1 (char 0).",
        "stop_sequences=@nothing: No such file or directory.",
        "top_p=2: the least is 0, the most is 1.",
        (
            "a/b has no input temprature. Did you mean temperature? Its inputs: prompt, "
            "system_prompt, max_tokens, temperature, top_p, stop_sequences, seed, debug."
        ),
        "Nothing was sent.",
    ]


@pytest.mark.parametrize(
    ("line", "inputs"),
    [
        ("", {}),
        ("unknown=5", {"unknown": 5}),
        ("num_outputs=9 seed=1.0", {"num_outputs": 9, "seed": 1}),
        ("num_outputs=2.5", {"num_outputs": 2.5}),
        ("num_outputs=many go_fast=maybe", {"num_outputs": "many", "go_fast": "maybe"}),
        ("aspect_ratio=16:10 megapixels=4", {"aspect_ratio": "16:10", "megapixels": "4"}),
        ("prompt:=5 seed={{'x'}}", {"prompt": 5, "seed": "x"}),
    ],
)
def test_force_sends_what_was_written_typed_as_far_as_it_can_be(line, inputs):
    assert planned(f"--force {line}", None, cog.FLUX) == inputs


def test_force_sends_a_body_that_has_no_place():
    assert planned("--force", "body", cog.OLD) == {"prompt": "body"}
    assert planned("--force --prompt-key x", "body", cog.OLD) == {"x": "body"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x:={", "is not JSON"),
        ("image=@nothing", "No such file"),
        ("x={{object()}}", "cannot be sent as JSON"),
        ("x={{float('nan')}}", "cannot be sent as JSON"),
        ("prompt=x", "prompt is given twice"),
    ],
)
def test_force_does_not_send_what_cannot_be_sent(line, message):
    with pytest.raises(InputError, match=message):
        planned(f"--force {line}", "body", cog.SDXL)


def test_what_is_secret_is_in_no_message():
    secret = cog.openapi({"key": {"type": "string", "format": "password"}})
    values = [object(), {"hunter2": object()}, ["hunter2", math.nan], "hunter2\ud83d", 5]
    values += [Given(text="hunter2", kind="json"), Given(text='"hunter2\\ud83d"', kind="json")]
    for value in values:
        with pytest.raises(InputError, match=r"^key\b") as raised:
            sent(value, secret, "key")
        told = "".join(traceback.format_exception(raised.value))
        assert "hunter2" not in told.rpartition("InputError")[2]
        assert "object at" not in told.rpartition("InputError")[2]
        assert raised.value.__cause__ is None


SECRET = cog.openapi({"key": {"type": "string", "format": "password"}, "text": {"type": "string"}})
SECRETS = cog.openapi({"key": {"type": "array", "items": {"type": "string", "format": "password"}}})


def test_a_file_of_a_secret_is_its_text_without_the_line_end(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(b"hunter2\r\n")

    assert planned(f"key=@{path}", openapi=SECRET) == {"key": "hunter2"}
    assert sent(path, SECRET, "key") == "hunter2"
    assert planned(f"text=@{path}", openapi=SECRET) == {"text": "hunter2\r\n"}


def test_a_secret_that_looks_like_a_file_is_not_told(tmp_path):
    binary = tmp_path / "hunter2"
    binary.write_bytes(b"\xff")
    large = tmp_path / "hunter2-large"
    large.write_bytes(b"x" * 300_000)
    for written in ("hunter2", "~nobody-hunter2/x", binary, large):
        with pytest.raises(InputError, match=r"^key\b.* Nothing was sent\.$") as raised:
            planned(f"key=@{written}", openapi=SECRET)
        assert "hunter2" not in "".join(traceback.format_exception_only(raised.value))
        assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "written", ['["hunter2",[]]', "hunter2", '{"a":"hunter2"}', '"hunter2"', '[["hunter2"]]']
)
def test_a_list_of_secrets_is_not_told(written):
    with pytest.raises(InputError, match=r"^key\b.*\(secret\)") as raised:
        planned(f"key:='{written}'", openapi=SECRETS)
    assert "hunter2" not in str(raised.value)


def test_a_body_that_is_a_secret_is_sent_and_is_no_prompt():
    draft = read_cell(parse_line("--prompt-key key"), "hunter2", str)
    request = plan(read_target("a/b"), draft, read_schema(SECRET), read_bytes)

    assert (request.input, request.prompt) == ({"key": "hunter2"}, "")


# -- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x=5", 5),
        ("x=five", "five"),
        ("x={{n}}", 7),
        ("x='{{n}}'", 7),
        ("x={{n}}0", 70),
        ("x=a{{n}}", "a7"),
        ("x={{'5'}}", "5"),
        ("x={{None}}", None),
        ("x={{[n, (n,)]}}", [7, [7]]),
        ("x={{ {'a': {'b': n}} }}", {"a": {"b": 7}}),
        ('x:={"a": [1, null, "b c"]}', {"a": [1, None, "b c"]}),
        ("x:='[{{n}}, 2]'", [7, 2]),
        ("x:={{n}}", 7),
        ('x:="@p"', "@p"),
        ("x:=1e3", 1000.0),
        ("x={{at}}", "@/etc/hostname"),
        ("x={{at}}{{''}}", "@/etc/hostname"),
        ("x=a{{at}}", "a@/etc/hostname"),
    ],
)
def test_an_input_is_sent_as_it_was_meant(line, value):
    assert planned(line, n=7, at="@/etc/hostname") == {"x": value}


def test_an_object_is_not_typed_again_by_the_schema():
    with pytest.raises(InputError, match="max_tokens=5: expected integer"):
        planned("max_tokens={{'5'}}", None, cog.CHAT)


@pytest.mark.parametrize(
    "text", ["{a: 1}", "[1,", "", "@x", "None", "'a'", "1 2", "NaN", "[" * 9_999]
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(InputError, match=r"is not JSON.*Nothing was sent"):
        sent(Given(text=text, kind="json"))


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (np.int64(5), 5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),  # noqa: FBT003
        (np.str_("a"), "a"),
        (np.array(5), 5),
        (pd.Series([1, 2])[0], 1),
        ([np.int8(1), (np.float64(2),)], [1, [2.0]]),
        ({"a": np.int64(1)}, {"a": 1}),
        (2**80, 2**80),
        (-0.0, -0.0),
        ("", ""),
        ([], []),
        ({}, {}),
        ("größe 😀", "größe 😀"),
    ],
)
def test_python_and_numpy_values_become_json(value, result):
    given = sent(value)

    assert (given, type(given)) == (result, type(result))
    json.dumps(given, allow_nan=False)


def inside_itself():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"x is nan \(float\), which cannot be sent as JSON"),
        (math.inf, "x is inf"),
        ([1, math.nan], "x is nan"),
        (np.float64("nan"), "x is nan"),
        (pd.NA, "NAType"),
        (pd.NaT, "NaTType"),
        (pd.Timestamp("2024-01-01"), "Timestamp"),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "datetime"),
        (decimal.Decimal(1), "Decimal"),
        (np.array([1, 2]), "ndarray"),
        ({1, 2}, "set"),
        ({1: 2}, r"x is \{1: 2\} \(dict\)"),
        ({"a": {(): 1}}, "dict"),
        (1j, "complex"),
        (object(), "object"),
        (io.BytesIO, "type"),
        (len, "builtin"),
        (inside_itself(), "x cannot be sent as JSON"),
        ("half a pair \ud83d", "x cannot be sent as JSON.*surrogates"),
        (["\udc00"], "x cannot be sent as JSON"),
        (10**5_000, "x cannot be sent as JSON"),
        (Given(text="1e999"), "x cannot be sent as JSON"),
        (Given(text='"\\ud83d"', kind="json"), "x cannot be sent as JSON"),
        (Given(text="[1e999]", kind="json"), "x cannot be sent as JSON"),
    ],
    ids=range(24),
)
def test_what_json_cannot_hold_is_refused(value, message):
    with pytest.raises(InputError, match=message) as raised:
        sent(value)

    assert "Nothing was sent" in str(raised.value)
    assert len(str(raised.value)) < 400


# -- files ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "my cat.jpg").write_bytes(JPEG)
    (tmp_path / "nameless").write_bytes(PNG)
    (tmp_path / "text.txt").write_text("größe {{x}} @file\n", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes(b"gr\xf6\xdfe")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "media_type", "data"),
    [
        ("image=@cat.png", "image/png", PNG),
        ("image=@'my cat.jpg'", "image/jpeg", JPEG),
        ("image=@nameless", "image/png", PNG),
        ("image=@~/cat.png", "image/png", PNG),
        ("image=@{{name}}.png", "image/png", PNG),
        ("image={{Path('cat.png')}}", "image/png", PNG),
        ("image={{Path('~/cat.png')}}", "image/png", PNG),
        ("image=@empty", "application/octet-stream", b""),
        ("image=@text.txt", "text/plain", "größe {{x}} @file\n".encode()),
    ],
)
@pytest.mark.parametrize("openapi", [None, cog.SDXL])
def test_a_file_is_sent_as_a_data_url(folder, openapi, line, media_type, data):
    expected = {"image": data_url(media_type, data)}

    assert planned(line, None, openapi, name="cat", Path=Path) == expected


def test_a_header_names_a_file_too(folder):
    body = "---\nimage: @my cat.jpg\n---\n"

    assert planned("a/b", body, cog.SDXL) == {"image": data_url("image/jpeg", JPEG)}


def test_a_file_for_a_text_input_gives_its_text_as_it_is(folder):
    assert planned("prompt=@text.txt", None, cog.CHAT, x=1) == {"prompt": "größe {{x}} @file\n"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("image=@nothing.png", r"image=@nothing\.png: No such file or directory\. Nothing"),
        ("image=@.", r"image=@\.: "),
        ("image=@", r"image=@\.: "),
        ("image=@cat.png/x", r"image=@cat\.png.x: "),
        ("image=@" + "x" * 5_000, "image=@x+: "),
        ("image=@'a\0b'", "null"),
        ("prompt=@latin.txt", r"prompt takes text, and latin\.txt is none"),
        ("scheduler=@cat.png", "scheduler=data:image/png.*: it is one of DDIM"),
        ("width=@cat.png", "expected integer"),
    ],
)
def test_a_file_that_cannot_be_read_or_used_is_told(folder, line, message):
    with pytest.raises(InputError, match=message):
        planned(line, None, cog.SDXL)


@pytest.mark.skipif(sys.platform == "win32", reason="there every ~name is a folder's neighbour")
def test_the_home_of_nobody_is_told(folder):
    with pytest.raises(InputError, match=r"image=@~no_such_user_here/x: .*\. Nothing was sent"):
        planned("image=@~no_such_user_here/x")


@pytest.fixture
def nobody():
    """Whoever runs the tests has no rights of root meanwhile, who reads everything."""
    if sys.platform == "win32":
        pytest.skip("there are no such rights")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(before)


def test_a_file_without_permission_is_told(nobody):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cat.png")
        path.write_bytes(PNG)
        path.chmod(0)
        with pytest.raises(InputError, match=r"image=@.*cat\.png: Permission denied\. Nothing"):
            planned(f"image=@{path}")


@pytest.mark.parametrize("openapi", [None, cog.SDXL])
@pytest.mark.parametrize("name", ["image", "prompt"])
def test_a_file_of_more_than_256_kb_is_to_be_sent_ahead(folder, openapi, name):
    path = folder / "big.txt"
    path.write_bytes(b"a" * DATA_URL_BYTES)
    assert planned(f"{name}=@big.txt", None, openapi)

    path.write_bytes(b"a" * (DATA_URL_BYTES + 1))
    if openapi and name == "prompt":
        with pytest.raises(InputError, match="prompt is a text of more than 256,000 bytes"):
            planned(f"{name}=@big.txt", None, openapi)
        return
    large = planned(f"{name}=@big.txt", None, openapi)[name]
    assert (type(large), large.path.name, large.media_type) == (LargeFile, "big.txt", "text/plain")


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (PNG, data_url("image/png", PNG)),
        (bytearray(JPEG), data_url("image/jpeg", JPEG)),
        (memoryview(b"abc"), data_url("application/octet-stream", b"abc")),
        (b"", "data:application/octet-stream;base64,"),
        (io.BytesIO(PNG), data_url("image/png", PNG)),
        (io.StringIO("text"), "text"),
        ([PNG, "https://x/y.png"], [data_url("image/png", PNG), "https://x/y.png"]),
        ({"a": [b"abc"]}, {"a": [data_url("application/octet-stream", b"abc")]}),
    ],
    ids=range(8),
)
def test_bytes_and_open_files_are_sent(value, result):
    assert sent(value) == result


def test_a_list_of_paths_is_sent_for_a_list_of_files(folder):
    inputs = planned(
        "text=t question=q images={{[Path('cat.png'), Path('my cat.jpg')]}}",
        None,
        cog.NEWER,
        Path=Path,
    )

    assert inputs["images"] == [data_url("image/png", PNG), data_url("image/jpeg", JPEG)]


def test_an_open_file_is_read_from_where_it_stands_and_named_by_its_name(folder):
    (folder / "song.mp3").write_bytes(b"xxabc")
    with (folder / "song.mp3").open("rb") as file:
        file.seek(2)
        assert sent(file) == data_url("audio/mpeg", b"abc")


def test_a_temporary_file_is_an_open_file():
    with tempfile.NamedTemporaryFile() as file:
        file.write(PNG)
        file.seek(0)
        assert sent(file) == data_url("image/png", PNG)


def test_a_file_that_is_closed_or_open_for_writing_is_told(folder):
    with (folder / "new").open("wb") as file, pytest.raises(InputError, match="cannot be read"):
        sent(file)
    with (folder / "cat.png").open("rb") as file:
        pass
    with pytest.raises(InputError, match=r"x is a file that cannot be read: .* closed file"):
        sent(file)


@pytest.mark.parametrize("given", [None, 5, [1]])
def test_what_reads_as_neither_text_nor_bytes_is_told(given):
    class Odd:
        def read(self, most):
            return given

    with pytest.raises(InputError, match=r"x is a file that cannot be read: .*Nothing was sent"):
        sent(Odd())


@pytest.mark.parametrize("make", [io.BytesIO, bytes])
def test_bytes_and_open_files_have_the_same_limit(make):
    data = b"a" * (DATA_URL_BYTES + 1)

    assert type(sent(make(data[1:]))) is str
    assert sent(make(data)).data == data
    assert json.loads(json.dumps(sent(make(data)))).startswith("data:application/octet-stream;")


def test_a_text_is_not_sent_ahead():
    with pytest.raises(InputError, match="x is a text of more than 256,000 bytes"):
        sent(io.StringIO("a" * (DATA_URL_BYTES + 1)))


def test_more_than_the_api_takes_is_refused(monkeypatch):
    with pytest.raises(InputError, match=r"x is a file of more than 104,857,600 bytes"):
        sent(bytes(MOST_FILE_BYTES + 1))


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI ", "application/octet-stream"),
        (b"RIFF", "application/octet-stream"),
        (b"%PDF-1.7", "application/pdf"),
        (b"ID3\4", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"<svg onload='alert(1)'/>", "application/octet-stream"),
        (b"<html>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_first_bytes_tell_a_media_type(data, media_type):
    assert media_type_of(data) == media_type


# -- the whole --------------------------------------------------------------------------------


def test_an_official_chat_model_gets_its_request():
    line = 'meta/llama -o x temperature=0.2 max_tokens=64 system_prompt="Be brief." seed=null'

    assert planned(line, "Why {{what}}?\n", cog.CHAT, what="is it so") == {
        "temperature": 0.2,
        "max_tokens": 64,
        "system_prompt": "Be brief.",
        "seed": None,
        "prompt": "Why is it so?",
    }


def test_the_request_keeps_the_target_and_the_schema():
    schema = read_schema(cog.FLUX)
    target = read_target("a/b:v1")

    request = plan(target, Draft(inputs={}, prompt="x"), schema, read_bytes)

    assert (request.target, request.schema, request.input) == (target, schema, {"prompt": "x"})


def test_planning_changes_nothing_that_it_is_handed():
    inputs = {"tags": ["a"], "text": "t", "question": "q"}
    request = plan(read_target("a/b"), Draft(inputs=inputs), read_schema(cog.NEWER), read_bytes)
    request.input["tags"].append("b")

    assert inputs == {"tags": ["a"], "text": "t", "question": "q"}


def test_without_a_schema_every_input_passes():
    assert plan(
        read_target("a/b"), Draft(inputs={"any": 1}, prompt="x"), Schema(), read_bytes
    ).input == {"any": 1, "prompt": "x"}


@pytest.mark.parametrize("text", ["https://replicate.com/a/b", "replicate.com/a/b", "a/b"])
def test_the_address_of_a_models_page_names_the_model(text):
    assert str(read_target(text)) == "a/b"


@pytest.mark.parametrize("text", ["{model}", "$model"])
def test_a_variable_in_another_spelling_is_told_how_it_is_written(text):
    with pytest.raises(CellError, match=r"written \{\{name\}\}"):
        read_target(text)
