"""The bundles that stay, and that nothing a model wrote can act in them."""

from __future__ import annotations

import base64
import html
import itertools
import json

import pytest
from pages import HOSTILE, IGNORED, TYPESET, Page, assert_nothing_acts, bundles, final, prediction

from replicate_magic.api.files import PREVIEW_BYTES
from replicate_magic.prediction import Finished, Log, OutputFile, Prediction, fold
from replicate_magic.views import Answer, Look
from replicate_magic.views.html import MARKDOWN_CHARS, StaticView, answer_bundle, document

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
OURS = {"text/plain", "text/html", "image/png", "image/jpeg"}
FORMATS = ("auto", "markdown", "text", "json", "html", "image")


many = pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))


@many
@pytest.mark.parametrize("shape", ["chunks", "text", "json", "files", None])
def test_no_answer_acts_in_the_page(text, shape):
    output = {"chunks": [text[:9], text[9:]], "text": text, "files": [text], "json": {text: text}}
    for form in FORMATS:
        bundle = final(prediction(output.get(shape, text), shape=shape), format=form)

        assert set(bundle) == {"text/plain", "text/html"}
        assert_nothing_acts(bundle["text/html"])
        json.dumps(bundle, ensure_ascii=False).encode()


@many
def test_nothing_that_jq_made_acts_in_the_page(text):
    made = [(text,), (text, text), ({text: [text]},)]
    for outputs, form in itertools.product(made, FORMATS):
        bundle = final(prediction("x"), Answer(outputs=outputs), format=form)
        assert_nothing_acts(bundle["text/html"])


@many
def test_no_other_word_acts_in_the_page(text):
    found = prediction(
        "x", model=text, status=text, error=text, logs=text, version=text, urls={"web": text}
    )
    for bundle in (final(found), final(found, why=text), answer_bundle(found)):
        assert_nothing_acts(bundle["text/html"])
    web = prediction("x", urls={"web": f"https://x/{text}"})
    assert_nothing_acts(final(web)["text/html"])


@many
def test_no_file_acts_in_the_page(text):
    files = [
        OutputFile(url=text),
        OutputFile(url=f"https://x/{text}", size_bytes=5, media_type=text),
        OutputFile(url=f"https://y/{text}", size_bytes=5, media_type=text, preview=b"<svg/>"),
        OutputFile(url=text, size_bytes=5, media_type="image/webp", preview=b"RIFF"),
    ]
    for form in FORMATS:
        for bundle in bundles(prediction(files=files), format=form):
            assert_nothing_acts(bundle["text/html"], pictures=bundle["text/html"].count("<img"))


@pytest.mark.parametrize("page", [
    "javascript:alert(1)", "data:text/html,x", "//evil.example", "http://evil.example", " https://x",
])  # fmt: skip
def test_only_a_page_on_https_is_linked(page):
    assert "<a" not in final(prediction("x", urls={"web": page}))["text/html"]
    assert "<a" in final(prediction("x", urls={"web": "https://replicate.com/p/1"}))["text/html"]


# -- what is shown ----------------------------------------------------------------------------


def test_an_answer_in_markdown_is_drawn_and_kept_as_text():
    text = "# Title\n\n* **one** `two`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[x](https://x.example)"
    bundle = final(prediction(text))

    tags = [tag for tag, _ in Page(bundle["text/html"]).elements]
    assert {"h1", "li", "strong", "code", "table", "td", "a"} <= set(tags)
    assert bundle["text/plain"] == f"{text}\n\na/b · succeeded"


@pytest.mark.parametrize(
    "text", [r"$e^{i\pi} + 1 = 0$", r"\(x < y\)", "a_b_c * d * e", "5 > 3 & 2"]
)
def test_formulas_and_signs_stay_readable(text):
    assert (
        text.replace("\\(", "(").replace("\\)", ")")
        in Page(final(prediction(text))["text/html"]).text
    )


def formulas_are_typeset(text, **look):
    elements = Page(final(prediction(text), **look)["text/html"]).elements
    assert elements[0][1]["class"] == IGNORED  # names, errors and logs are around it
    return TYPESET in [attrs.get("class") for _, attrs in elements]


@pytest.mark.parametrize("form", ["markdown", "html"])
@pytest.mark.parametrize(
    ("text", "typeset"),
    [
        (r"$e^{i\pi} + \frac{1}{2} \Rightarrow \newline \leftarrow$", True),
        (r"$\unicode[x;background:url(https://evil.example)]{65}$", False),
        (r"$\mmlToken{mi}[fontfamily='x;background:url(https://evil.example)']{x}$", False),
        (r"$\href{https://evil.example}{x}$", False),
        (r"$$\style{position:fixed}{x}$$", False),
        (r"$\def\frac{\sum}$ and $\frac 1 2$", False),
        (r"$\renewcommand{\alpha}{\beta}$", False),
        ("$&#92;href{https://evil.example}{x}$", False),
    ],
)
def test_a_formula_that_does_more_than_say_something_stays_as_written(text, typeset, form):
    assert formulas_are_typeset(text, format=form) is typeset


def test_no_tag_within_its_name_hides_what_a_formula_does():
    text = r'$\hr<wbr title="a>b">ef{https://evil.example}{x}$'
    assert not formulas_are_typeset(text, format="html")


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_stands_as_it_is_has_no_formulas(form):
    assert not formulas_are_typeset("$x$", format=form)


@pytest.mark.parametrize(
    ("form", "tag"), [("auto", "strong"), ("markdown", "strong"), ("text", "pre"), ("html", "b")]
)
def test_a_format_is_drawn_as_asked_for(form, tag):
    markup = final(prediction("**one** <b>two</b>"), format=form)["text/html"]

    assert tag in [tag for tag, _ in Page(markup).elements]


@pytest.mark.parametrize("output", [{"a": [1, {"b": "<x>"}]}, [1, 2], 5, True, ["a", "b"], 0.5])
def test_json_is_shown_with_its_structure(output):
    pretty = json.dumps(output, indent=2)
    bundle = final(prediction(output, shape="json"), status=False)

    assert bundle["text/plain"] == pretty
    assert Page(bundle["text/html"]).text == pretty
    assert "<pre" in bundle["text/html"]


def test_text_that_holds_json_is_pretty_where_json_is_asked_for():
    bundle = final(prediction('{"a":1}'), format="json", status=False)

    assert bundle["text/plain"] == '{\n  "a": 1\n}'


def test_a_picture_in_markdown_is_a_link_that_is_not_fetched():
    page = Page(final(prediction("![a cat](https://x.example/cat.png)"), status=False)["text/html"])

    assert page.text.strip() == "!a cat"
    assert [attrs["href"] for tag, attrs in page.elements if tag == "a"] == [
        "https://x.example/cat.png"
    ]


def test_a_long_answer_is_escaped_in_blocks_and_no_markdown():
    text = "**x** <b>\n" * 30_000
    bundle = final(prediction(text))

    assert len(text) > MARKDOWN_CHARS
    assert Page(bundle["text/html"]).text == f"● a/b · succeeded{text}"
    assert bundle["text/html"].count("<pre") > 30
    assert_nothing_acts(bundle["text/html"])


@pytest.mark.parametrize("text", ["x" * 300_001, "word " * 50_000, "\n" * 250_000, "<&\n" * 90_000])
def test_no_character_of_a_long_answer_is_lost(text):
    assert Page(final(prediction(text), status=False)["text/html"]).text == text


def test_the_text_beside_a_long_answer_says_where_the_rest_is():
    plain = final(prediction("word " * 50_000))["text/plain"]

    assert len(plain) < 21_000
    assert "[230,000 more characters are in this output's HTML]\n\na/b · succeeded" in plain


def test_an_answer_with_many_brackets_is_escaped_and_no_markdown():
    text = "**x** [" * 10_000
    bundle = final(prediction(text))

    assert len(text) < MARKDOWN_CHARS
    assert html.escape(text) in bundle["text/html"]


def test_the_state_stands_above_the_answer_and_below_it_in_plain_text():
    bundle = final(prediction("the answer"))

    assert Page(bundle["text/html"]).text == "● a/b · succeededthe answer\n"
    assert bundle["text/plain"] == "the answer\n\na/b · succeeded"


def test_a_failed_run_keeps_what_came_its_state_and_why():
    found = prediction(status="failed", shape="chunks", streamed=["He"], error="no")
    bundle = final(found, why="no <b>\nTry again.")

    assert bundle["text/plain"] == "He\n\na/b · failed\nno <b>\nTry again."
    assert Page(bundle["text/html"]).text.endswith("He\nno <b>\nTry again.")


def test_logs_are_kept_folded_and_of_long_ones_the_end():
    bundle = final(prediction("x", logs="".join(f"line <{n}>\n" for n in range(10_000))))
    tags = [tag for tag, _ in Page(bundle["text/html"]).elements]

    assert "details" in tags
    assert "line <9999>" in Page(bundle["text/html"]).text
    assert "line <10>" not in Page(bundle["text/html"]).text
    assert "line" not in bundle["text/plain"]
    assert "details" not in final(prediction("x", logs="line\n"), answer=False)["text/html"]


@pytest.mark.parametrize("told", ["one\ntwo\n", "\r10%\rone\ntwo\n"], ids=["rest", "other_lines"])
def test_logs_that_the_stream_did_not_bring_are_kept(told):
    streamed = fold(prediction(status="processing"), Log(text="one\n", at_s=1))
    found = fold(streamed, Finished(raw=prediction("x", logs=told).raw, at_s=2))

    assert Page(final(found)["text/html"]).text.endswith("one\ntwo\n")


def test_a_run_that_never_began_says_so():
    assert final(Prediction(model="a/b"), why="no")["text/plain"] == "a/b · not run\nno"


@pytest.mark.parametrize(
    "found",
    [
        Prediction(model="a/b"),
        prediction("x"),
        prediction(""),
        prediction(" \n\t"),
        prediction("[a]: https://x.example"),
        prediction(None, status="failed"),
        prediction([], shape="files", status="succeeded"),
        prediction({"a": 1}),
        prediction(shape="chunks", status="processing", streamed=["x"]),
        prediction(files=[OutputFile(url="https://x/1")]),
        prediction(files=[OutputFile(url="https://x/1", media_type="image/png", preview=PNG)]),
    ],
    ids=range(11),
)
def test_there_is_always_a_readable_text_and_never_markdown(found):
    looks = [Look(format=form, status=status) for form in FORMATS for status in (True, False)]
    shown = [
        bundle for look in looks if look.status for bundle in document(found, None, look).bundles
    ]
    for bundle in [*shown, answer_bundle(found)]:
        assert bundle["text/plain"].strip()
        assert set(bundle) <= OURS
    for look in looks:
        assert all(set(bundle) <= OURS for bundle in document(found, None, look).bundles)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ((), "jq gave no output: None"),
        ((None,), "null"),
        (("**x**",), "**x**"),
        ((1, 2), "[\n  1,\n  2\n]"),
    ],
)
def test_what_jq_made_is_shown_in_place_of_the_answer(outputs, text):
    bundle = final(prediction("the answer"), Answer(outputs=outputs), status=False)

    assert bundle["text/plain"] == text
    assert "the answer" not in bundle["text/html"]


def test_the_answer_or_the_state_can_be_left_out():
    assert final(prediction("x"), answer=False)["text/plain"] == "a/b · succeeded"
    assert final(prediction("x"), status=False)["text/plain"] == "x"
    assert "succeeded" not in final(prediction("x"), status=False)["text/html"]


# -- files ------------------------------------------------------------------------------------


def picture(media_type, name="1", data=PNG):
    return OutputFile(
        url=f"https://x/{name}", media_type=media_type, size_bytes=len(data), preview=data
    )


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg"])
def test_a_picture_every_tool_draws_is_sent_as_itself(media_type):
    state, image = bundles(prediction(files=[picture(media_type)]))

    assert set(image) == {"text/plain", media_type}
    assert base64.b64decode(image[media_type]) == PNG
    assert image["text/plain"] == f"https://x/1 ({media_type}, 16 B)"
    assert state["text/plain"] == "a/b · succeeded"


@pytest.mark.parametrize("media_type", ["image/webp", "image/gif"])
def test_another_picture_is_sent_within_html(media_type):
    bundle = final(prediction(files=[picture(media_type)]), status=False)

    source = f"data:{media_type};base64,{base64.b64encode(PNG).decode()}"
    shown = [attrs["src"] for tag, attrs in Page(bundle["text/html"]).elements if tag == "img"]
    assert shown == [source]
    assert bundle["text/plain"] == f"https://x/1 ({media_type}, 16 B)"


@pytest.mark.parametrize(
    ("file", "label"),
    [
        (OutputFile(url="https://x/1"), "https://x/1"),
        (OutputFile(url="https://x/1", size_bytes=PREVIEW_BYTES + 1), "https://x/1 (file, 5.0 MB)"),
        (picture("image/svg+xml", data=b"<svg/>"), "https://x/1 (image/svg+xml, 6 B)"),
        (picture("text/html", data=b"<p>"), "https://x/1 (text/html, 3 B)"),
        (picture("application/octet-stream"), "https://x/1 (application/octet-stream, 16 B)"),
        (OutputFile(url="https://x/a b\"'<>"), "https://x/a b\"'<>"),
    ],
)
def test_any_other_file_is_a_link_with_what_is_known(file, label):
    page = Page(final(prediction(files=[file]), status=False)["text/html"])

    assert page.text == label
    assert [attrs["href"] for tag, attrs in page.elements if tag == "a"] == [file.url]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            "data:text/html,<script>",
            "//x/1",
            "x",
            "",
        ),
        *("ftp://x/1", "file:///etc/passwd", "\x01https://x", " https://x/1"),
    ],
)
def test_an_address_that_is_not_http_is_no_link(url):
    page = Page(final(prediction(files=[OutputFile(url=url)]))["text/html"])

    assert "a" not in [tag for tag, _ in page.elements]


def test_a_long_data_url_is_cut():
    file = OutputFile(url="data:video/mp4;base64," + "A" * 1_000_000, size_bytes=750_000)
    bundle = final(prediction(files=[file]))

    assert len(json.dumps(bundle)) < 2_000
    assert "(file, 750 kB)" in bundle["text/plain"]


def test_a_picture_and_other_files_come_together():
    files = [
        picture("image/png", "1"),
        OutputFile(url="https://x/2"),
        OutputFile(url="https://x/3"),
    ]
    rest, image = bundles(prediction(files=files))

    assert "image/png" in image
    assert rest["text/plain"].splitlines()[1] == "https://x/2"
    assert [f"https://x/{n}" in Page(rest["text/html"]).text for n in (1, 2, 3)] == [True] * 3


def test_a_prediction_shown_on_its_own_shows_all_its_pictures():
    files = [picture("image/png", "1"), picture("image/webp", "2"), OutputFile(url="https://x/3")]
    bundle = answer_bundle(prediction(files=files))

    assert set(bundle) == {"text/plain", "text/html"}
    assert [f"https://x/{n}" in bundle["text/plain"] for n in (1, 2, 3)] == [True] * 3
    assert_nothing_acts(bundle["text/html"], pictures=2)
    assert "https://x/3" in bundle["text/html"]


def test_one_picture_shown_on_its_own_is_itself():
    assert set(answer_bundle(prediction(files=[picture("image/png")]))) == {
        "text/plain",
        "image/png",
    }


@pytest.mark.parametrize("shape", ["text", "chunks"])
@pytest.mark.parametrize("form", ["auto", "image"])
def test_a_models_text_that_begins_with_an_address_stays_text(shape, form):
    url = "https://replicate.delivery/x/out.png"
    bundle = final(prediction([url] if shape == "chunks" else url, shape=shape), format=form)

    assert bundle["text/plain"] == f"{url}\n\na/b · succeeded"
    assert_nothing_acts(bundle["text/html"])


@pytest.mark.parametrize("form", ["text", "json", "markdown", "html"])
def test_a_picture_is_not_drawn_where_text_is_asked_for(form):
    bundle = final(prediction(files=[picture("image/png")]), format=form)

    assert "https://x/1" in bundle["text/plain"]
    assert_nothing_acts(bundle["text/html"])


def test_ipython_shows_a_prediction_by_its_own_methods():
    found = prediction("**x**")

    assert found._repr_mimebundle_(include=None, exclude=None) == answer_bundle(found)
    assert answer_bundle(found)["text/plain"] == "**x**"
    assert answer_bundle(prediction(status="failed"))["text/plain"].endswith("a/b · failed")


def test_where_nobody_watches_there_is_one_display(displayed):
    view = StaticView(Look())
    view.update(prediction(status="processing", streamed=["x"]))
    view.close(prediction("x"))

    (output,) = displayed()
    assert output.data == final(prediction("x"))


def test_a_run_that_was_never_created_leaves_nothing(displayed):
    StaticView(Look()).close(None)

    assert displayed() == []


def test_a_picture_is_a_display_of_its_own(displayed):
    StaticView(Look()).close(prediction(files=[picture("image/png")]))

    state, image = displayed()
    assert state.data["text/plain"] == "a/b · succeeded"
    assert "image/png" in image.data
