"""How a model's description looks."""

from __future__ import annotations

import re
import unicodedata

import pytest

from replicate_magic.cell.info import ModelInfo, read_info
from replicate_magic.cell.schema import InputField
from replicate_magic.views.info import info_bundle

TEXT = InputField(name="prompt", types=("string",), required=True)
LIST = InputField(
    name="voice", types=("string",), choices=tuple(f"voice-{n}" for n in range(40)),
    default="voice-3",
)  # fmt: skip
INFO = ModelInfo(
    name="acme/poet",
    model="acme/poet",
    description="A *poet* & <b>more</b>.\nSecond line.",
    inputs=(
        TEXT,
        InputField(name="steps", types=("integer",), default=4, minimum=1, maximum=50),
        LIST,
    ),
    descriptions={"prompt": "What it is <i>about</i>."},
    prompt_key="prompt",
    output="text",
    official=True,
    run_count=1_234_567,
    license_url="https://example.com/licence?a=1&b=2",
    version="5c7d" * 16,
    example="%%replicate acme/poet steps=8\nA <ship>.",
)


def plain(info=INFO):
    return info_bundle(info)["text/plain"]


def page(info=INFO):
    return info_bundle(info)["text/html"]


@pytest.fixture(params=[20, 40, 80, 200])
def room(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


def width(line):
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in line
    )


def test_a_terminal_is_told_all_of_it():
    text = plain()

    assert text.startswith("acme/poet · official · 1,234,567 runs\nA *poet* & <b>more</b>.\nSecond")
    assert "prompt (required, the cell's body): string" in text
    assert "      What it is <i>about</i>." in text
    assert "steps: integer; 1 to 50; default 4" in text
    assert "voice-39; default voice-3" in text
    assert "licence  https://example.com/licence?a=1&b=2" in text
    assert text.endswith("Example\n%%replicate acme/poet steps=8\nA <ship>.")


def test_no_line_is_wider_than_the_terminal(room):
    long = ModelInfo(
        name="acme/" + "n" * 90,
        description="日本語のモデル" * 40 + " " + "words " * 50,
        inputs=(TEXT, LIST, InputField(name="i" * 80, types=("string",), pattern="x" * 150)),
        descriptions={"prompt": "e\u0301" * 300},
        version="5c7d" * 16,
        example=f"%%replicate acme/poet\n---\nimage: https://x/{'長' * 300}\n---\n\tA ship.",
    )

    assert [line for line in plain(long).split("\n") if width(line) > room] == []
    assert "print(_.example)" in " ".join(plain(long).split())


def test_what_is_wrapped_is_whole(room):
    assert "".join(INFO.version) in plain().replace("\n", "").replace(" ", "")


def test_model_text_is_escaped_on_a_page():
    bait = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    schema = {
        "properties": {
            bait: {"type": "string", "enum": [bait] * 30, "default": bait, "description": bait},
            "prompt": {"type": "string", "pattern": bait},
        }
    }
    info = read_info(
        "acme/poet",
        {
            "description": bait,
            "license_url": f"https://x/{bait.replace(' ', '')}",
            "default_example": {"input": {"prompt": bait}},
        },
        {"components": {"schemas": {"Input": schema, "Output": {"properties": {bait: {}}}}}},
        runs=bait,
        version=bait,
        hardware=bait,
    )
    allowed = "div|strong|span|table|thead|tbody|tr|th|td|br|code|pre|a|details|summary"
    tags = re.findall(r"<[^>]*>", page(info))

    assert all(re.match(rf"</?({allowed})[ >]", tag) for tag in tags)
    assert not any("onerror" in tag and not tag.startswith("<a ") for tag in tags)
    [link] = [tag for tag in tags if tag.startswith("<a ")]
    assert link == (
        '<a href="https://x/&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&gt;&lt;img'
        'src=xonerror=alert(1)&gt;" target="_blank" rel="noopener noreferrer">'
    )


def test_a_page_marks_what_is_required_and_what_the_body_goes_to():
    row = next(row for row in page().split("<tr>") if "prompt</code>" in row)

    assert "required" in row
    assert "the cell&#x27;s body" in row
    assert page().count("required") == 1


def test_many_choices_are_folded_and_few_stand_open():
    few = ModelInfo(name="a/b", inputs=(InputField(name="x", choices=(2, 4)),))

    assert re.search(r"<details><summary[^>]*>40 choices</summary>voice-0, voice-1,", page())
    assert "2, 4" in page(few)
    assert "<details" not in page(few)


def test_thousands_of_inputs_and_choices_are_told_in_part():
    many = tuple(InputField(name=f"i{n}", types=("string",)) for n in range(1_000))
    info = ModelInfo(name="a/b", inputs=(InputField(name="x", choices=tuple(range(9_000))), *many))

    assert "801 more inputs: _.inputs" in plain(info)
    assert "8,500 more choices" in plain(info)
    assert "9,000 choices" in page(info)
    assert len(page(info)) < 300_000


def test_a_long_description_is_cut():
    info = ModelInfo(name="a/b", description="<&>" * 10_000)

    assert len(plain(info)) < 5_000
    assert len(page(info)) < 30_000


def test_what_is_not_known_is_not_told():
    info = ModelInfo(name="deployment:acme/prod")

    assert plain(info) == ("deployment:acme/prod\n\ninputs  no schema is told: any input is taken")
    assert "<table" not in page(info)
    assert "<pre" not in page(info)


def test_a_deployment_says_what_it_runs_and_on_what():
    info = ModelInfo(name="deployment:acme/prod", model="acme/poet", hardware="gpu-t4", inputs=())

    assert "runs      acme/poet\nhardware  gpu-t4\ninputs    none" in plain(info)
