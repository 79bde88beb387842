"""`{{expression}}` in text: what is one, and what becomes of it."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.cell.template import expand, expression_at, expressions, whole_expression
from replicate_magic.errors import TemplateError
from replicate_magic.notebook.help import help_text


def evaluator(**names):
    """Evaluates in one namespace, as the magic does."""
    return lambda source: eval(source, names)


def expanded(text, **names):
    return expand(text, evaluator(**names))


LITERAL = [
    '{"a": 1}',
    '{"a": {"b": {}}}',
    "json {}",
    "open {",
    "close }}",
    "{unknown}",
    "{unknown.attr}",
    "{x+1}",
    "{1,2}",
    "cost $5, $x, ${x}, $$",
    "{os.environ}",
    "latex {{a}^2}",
    r"\frac{{a}{b}}{c}",
    r"\textbf{{\alpha}}",
    r"$\mathbb{{R}^{n}}$",
    "{{#each items}}{{/each}}",
    "{{/if}}{{else}}{{> part}}{{! note}}{{^x}}{{&x}}",
    "${#arr}",
    "100 {% off %} {# note #}",
    "{{ x y }}",
    "{{}}",
    "{{  }}",
    "{{ # only a comment }}",
    "{{ x = 1 }}",
    "{{ y := 1 }}",
    "{{ import os }}",
    "{{ for x in y }}",
    "{{ it's }}",
    '{{ "a }}',
    "{{ (x }}",
    "{{ x) }}",
    "{{ [x) }}",
    "{{ x",
    "{{ x }",
    "{{ x } }",
    "{ { x } }",
    "{{\0}}",
    "{{'\ud800'}}",
    "trailing newline\n",
    "tabs\tand \r\n ends",
    "",
]


@pytest.mark.parametrize("text", LITERAL)
def test_what_is_no_expression_stays_as_it_is(text):
    assert expanded(text, x=3) == text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{x}}", "3"),
        ("{{ x }}", "3"),
        ("{{\n  x\n}}", "3"),
        ("{{x+1}}", "4"),
        ("{{1,2}}", "(1, 2)"),
        ("a {{x}}b{{x}} c\n", "a 3b3 c\n"),
        ("{{x}}{{x}}", "33"),
        ("{{{x}}}", "{3}"),
        ("{{ {'a': 1} }}", "{'a': 1}"),
        ("{{ {'a': {'b': 1}} }}", "{'a': {'b': 1}}"),
        ("{{{'a': {'b': {}}}}}", "{'a': {'b': {}}}"),
        ("{{ {'a': {'b': x}}['a']['b'] }}", "3"),
        ("{{'}}'}}", "}}"),
        ("{{\"}}\" + '}}'}}", "}}}}"),
        ("{{'{{x}}'}}", "{{x}}"),
        ("{{'''it's }} \"'''}}", "it's }} \""),
        (r"{{'a\'}}b'}}", "a'}}b"),
        ("{{f'{x}}}'}}", "3}"),
        ("{{f'{x}'}}", "3"),
        ("{{f'{x:>{x}}'}}", "  3"),
        ("{{[n for n in range(x) if n]}}", "[1, 2]"),
        ("{{[\n  1,\n  2,\n]}}", "[1, 2]"),
        ("{{(lambda n: n * 2)(x)}}", "6"),
        ("{{x if x > 2 else 0}}", "3"),
        ("{{len('ab')}}", "2"),
        ("{{None}}", "None"),
        ("{{''}}", ""),
        ("{{x}", "{{x}"),
        ("{{{{x}}", "{{3"),
        ("{{x}}}}", "3}}"),
        ("{{#each}}{{x}}{{/each}}", "{{#each}}3{{/each}}"),
        ("it's {{x}} o'clock", "it's 3 o'clock"),
        (r"\frac{{{x}}}{2}", r"\frac{3}{2}"),
        ("größe {{x}} 😀", "größe 3 😀"),
    ],
)
def test_an_expression_gives_the_str_of_its_value(text, result):
    assert expanded(text, x=3) == result


def test_the_help_shows_how_to_send_braces_themselves():
    shown = '{{"{{name}}"}}'

    assert shown in help_text()
    assert expanded(shown) == "{{name}}"


def test_a_result_is_never_expanded_again():
    assert expanded("{{x}} {{y}}", x="{{y}}", y="{{1 + 1}}") == "{{y}} {{1 + 1}}"


def test_halves_of_braces_from_two_results_do_not_meet():
    assert expanded("{{x}}1{{y}}", x="{{", y="}}") == "{{1}}"


def test_each_expression_is_evaluated_once_from_left_to_right():
    seen = []

    def evaluate(source):
        seen.append(source)
        return len(seen)

    assert expand("{{a}} {{b + c}} {{a}}", evaluate) == "1 2 3"
    assert seen == ["a", "b + c", "a"]


def test_a_walrus_in_one_expression_is_seen_by_the_next():
    assert expanded("{{(y := 5)}} {{y + 1}}") == "5 6"


def test_nothing_is_evaluated_behind_an_expression_that_fails():
    seen = []

    def evaluate(source):
        seen.append(source)
        return 1 / 0

    with pytest.raises(TemplateError):
        expand("{{a}} {{b}}", evaluate)
    assert seen == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{unknown}}", r"^\{\{unknown\}\}: NameError: name 'unknown' is not defined"),
        ("{{x.nothing}}", "AttributeError"),
        ("{{1 / 0}}", "ZeroDivisionError: division by zero"),
        ("{{x | upper}}", "NameError: name 'upper'"),
        ("{{bad}}", "ValueError: no words"),
        ("{{yes + 1}}", "NameError"),
    ],
)
def test_an_expression_that_fails_says_what_failed_and_names_raw(text, message):
    class Wordless:
        def __str__(self):
            raise ValueError("no words")

    with pytest.raises(TemplateError, match=message) as raised:
        expanded(text, x=3, bad=Wordless())

    assert "Nothing was sent" in str(raised.value)
    assert "--raw" in str(raised.value)
    assert raised.value.__cause__ is not None


def test_an_interrupt_passes_through():
    def evaluate(source):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        expand("{{x}}", evaluate)


def test_an_error_shows_a_long_expression_cut_and_on_one_line():
    with pytest.raises(TemplateError) as raised:
        expanded("{{ [nothing,\n" + "1, " * 500 + "] }}")

    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("{{x}}", "x"),
        ("{{ x }}", "x"),
        ("{{ {'a': {}} }}", "{'a': {}}"),
        (" {{x}}", None),
        ("{{x}} ", None),
        ("{{x}}{{y}}", None),
        ("{{x}}}}", None),
        ("x", None),
        ("", None),
        ("{{#x}}", None),
    ],
)
def test_a_whole_expression_is_one_and_nothing_else(text, source):
    found = whole_expression(text)

    assert (found.source if found else None) == source


def test_an_expression_knows_where_it_stands():
    text = "ab {{ x }} cd"
    found = expression_at(text, 3)

    assert (found.source, text[found.start : found.end]) == ("x", "{{ x }}")


@settings(deadline=None)
@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_two_braces_is_unchanged(text):
    assert expand(text, pytest.fail) == text


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(["{", "}", "{{", "}}", "'", '"', "x", " ", "(", ")", "\\", "\n"])))
def test_every_expression_found_is_python_and_none_overlap(pieces):
    text = "".join(pieces)
    position = 0
    for found in expressions(text):
        assert found.start >= position
        position = found.end
        assert text[found.start : found.start + 2] == "{{"
        assert text[: found.end].endswith("}}")
        ast.parse(found.source, mode="eval")


values = st.recursive(
    st.integers() | st.booleans() | st.none() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("}{'\"a"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(values)
def test_any_literal_is_read_whatever_braces_and_quotes_it_holds(value):
    assert expanded(f"a {{{{{value!r}}}}} b") == f"a {value} b"


@pytest.mark.parametrize(
    "text",
    [
        "{{" * 20_000,
        "{{" * 20_000 + "}}" * 50,
        "{{" * 20_000 + "}}" * 20_000,
        "{{ a" * 20_000 + " }}",
        "{{'" * 20_000,
        "{{(" * 20_000,
        "{{#each it}} some words {{/each}}\n" * 5_000,
        "{{ a b }} " * 10_000,
        "{{ '''" + "x" * 100_000,
        '{{"' + "\\" * 100_000,
    ],
    ids=range(10),
)
def test_text_full_of_braces_takes_no_time(text):
    began = time.process_time()
    found = list(expressions(text))
    assert time.process_time() - began < 3
    assert len(found) <= 1
