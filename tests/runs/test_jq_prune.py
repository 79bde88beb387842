from __future__ import annotations

import json

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from replicate_magic.errors import JqError
from replicate_magic.runs import jq, jq_worker
from replicate_magic.runs.jq_prune import visible_keys

SCALARS = {"x": 2}


@pytest.fixture(autouse=True, scope="module")
def _no_helper_is_left():
    yield
    jq.close()


def keys_of(program, mode="flags"):
    return visible_keys(program, mode=mode, variables=SCALARS)


def pruned(document, *keys):
    [text] = jq_worker._pruned([document], list(keys))
    return text


def outcome(call, program, documents, *, trusted):
    """All that a call gives or raises, as text: 1 is not 1.0, and not true."""
    try:
        return repr(call(program, documents, args=SCALARS, trusted=trusted)), ""
    except JqError as error:
        skipping = call(program, documents, args=SCALARS, trusted=trusted, skip_errors=True)
        return repr(skipping), str(error)


def assert_nothing_changes(call, program, document):
    expected = outcome(call, program, [document], trusted=False)
    assert outcome(call, program, [document], trusted=True) == expected


# Which programs


@pytest.mark.parametrize(
    ("program", "keys"),
    [
        ('select(.status=="succeeded" and .metrics.predict_time > 2)', "status metrics"),
        (".a", "a"),
        (".a.b.c", "a"),
        (".a\n .b", "a"),
        ('."a".b', "a"),
        ('.a."b \\u00e9"', "a"),
        (".a?", "a"),
        (".a[0]", "a"),
        (".a[].b, .c[1:-1]", "a c"),
        ('.a["b"]', "a"),
        (".a | .b", "a"),
        (".a | keys", "a"),
        (".a | . == 1 or length > .n", "a"),
        ('.a | length > 2 and has("b")', "a"),
        ('.a | test("x"; "i")', "a"),
        (".a | map(select(.b)) | any", "a"),
        (".a // .b", "a b"),
        (".a == $x", "a"),
        ("(.a | not) and .b", "a b"),
        ("select(.a) | select(.b)", "a b"),
        ("select(.a) | .b", "a b"),
        ("select(.a).b", "a b"),
        ("(select(.a)) | not", "a"),
        ("-.a + 1e3 > .5", "a"),
        ("[.a, .b] | length == 2", "a b"),
        ("select(.and)", "and"),
        ("true and .a", "a"),
        ('.a == ".b"', "a"),
    ],
)  # fmt: skip
def test_a_filter_over_paths_sees_the_keys_it_names(program, keys):
    assert keys_of(program) == tuple(keys.split())


@pytest.mark.parametrize(
    ("program", "keys"),
    [
        ("{id, status}", "id status"),
        ("{id, tps: .metrics.x}", "id metrics"),
        ('{"id", "a b": .c | length, n: -1}', "id c"),
        ("{(1|not): 2}", ""),
        ("{if, then: .else}", "if else"),
        ("select(.a) | {id}", "a id"),
        ("select(.a) | {id: .b | {c}}", "a b"),
        (".a, .b[]", "a b"),
        ("[.a, {b}]", "a b"),
        (".a | .", "a"),
        (".a | {b, c: .}", "a"),
        (".a | tostring | {s: .}", "a"),
    ],
)
def test_a_map_to_parts_sees_the_keys_it_names(program, keys):
    assert keys_of(program, "outputs") == tuple(keys.split())


UNKNOWN = [
    ".", "..", "..a", ".[]", '.["a"]', ".[0]", ". == 1", ". as $y | .a", ".a as $y | $y", "keys",
    "length", "length > 2", "to_entries", 'has("a")', 'has("a") and .a', "tojson", "tostring",
    'type == "object"', "map(.a)", "add", "any", "values", "del(.a)", ".a = 1", ".a |= 1",
    ".a += 1", ".a //= 1", "paths", 'getpath(["a"])', "with_entries(.value)", "walk(.)",
    "$__loc__", "$__prog_args", "$y", "$ENV", "env", "input", "input_line_number", "error",
    "try .a", ".a | error", "debug", "def f: .a; f", "reduce .a as $y (0; 1)", "label $f | .a",
    "if .a then .b else .c end", "first(.a)", "any(.a; .)", "IN(.a)", "[.]", "{a: .}", "{$y}",
    "{$__loc__}", "{(.a): 1}", '"\\(.)"', '"\\(.a)"', "@json", '@text "a"', ".a # why", "# .\n.a",
    '."a\\u0062"', '."é"', '.""', "select(.) | .a", "select(.a) == .b", "-select(.a)",
    "select(.a) + .b", "[select(.a)]", "{b: select(.a)}", "select(.a) | length", "select(.a)[]",
    "(.a, select(.b)) | keys", "select(.a) | {b} | .b, tojson", ".a[.b]", ".a | $__loc__",
    ".a | fromjson", ".a | from_entries", ".a | input_line_number", ".a::b", "a::b", "1", "true",
    "", " ", ".a |", ".a .", "(" * 20_000, '"', "\ud800", ".a and", "select", "select(.a", ".a)",
    "{", "{a", "{a:", "[", ".a[", ".a..b", ".é", "éa",
]  # fmt: skip


@pytest.mark.parametrize("mode", ["flags", "outputs"])
@pytest.mark.parametrize("program", UNKNOWN, ids=lambda program: ascii(program[:20]))
def test_a_program_that_may_see_more_gets_the_whole_document(program, mode):
    assert keys_of(program, mode) == ()


@pytest.mark.parametrize("program", ["select(.a)", "select(.a), .b", "select(.a) | select(.b)"])
def test_a_document_that_may_come_back_is_whole(program):
    assert keys_of(program, "outputs") == ()


@pytest.mark.parametrize("program", ["{a}", ".a | {b}", "select({a} == .b)"])
def test_an_object_that_may_be_compared_with_the_document_has_it_whole(program):
    assert keys_of(program, "flags") == ()


def test_an_argument_that_is_no_scalar_leaves_the_document_whole():
    document = '{"a":1,"b":2}'
    for value in ({"a": 1}, {"a": 1, "b": 2}):
        given = [
            jq.matches("select(.a) | $x", [document], args={"x": value}, trusted=trusted)
            for trusted in (False, True)
        ]
        assert given[0] == given[1]


def test_all_documents_together_are_whole():
    assert keys_of(".a", "together") == ()


# What is left of a document

strings = st.text(st.sampled_from('"\\{}[],: a/%\né😀\u2028'), max_size=8)
names = st.sampled_from(["a", "b", "c d", "ab", "%s", 'a"', "\\", "é", "a:", "{", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | strings
    | st.floats(allow_nan=True, allow_infinity=True),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
spellings = st.sampled_from(
    [
        {},
        {"ensure_ascii": False},
        {"separators": (",", ":")},
        {"separators": (",", ":"), "ensure_ascii": False},
        {"indent": 1},
    ]
)


@st.composite
def documents(draw, content=values):
    """An object as `json.dumps` writes it, now and then with a key twice; or any other value."""
    spelling = draw(spellings)
    value = draw(st.dictionaries(names, content, max_size=6) | values)
    text = json.dumps(value, **spelling)
    if isinstance(value, dict) and value and draw(st.booleans()):
        again = json.dumps(draw(st.dictionaries(names, content, min_size=1)), **spelling)
        text = text[:-1].rstrip() + "," + again[1:]
    return text


@given(documents())
@settings(max_examples=500, deadline=None)
@example(r'{"b":"\\","a":1}')
@example(r'{"b":"\"a\":2,","a":1}')
@example(r'{"b":"\\\"a\":2,","a":1}')
@example(r'{"b":{"a":2},"a":1,"b":[["a",{"a":3}]]}')
@example('{"a":1,"a":2}')
@example('{"\\u0061":3}')
@example('{"a":1,"\\u0061":3}')
@pytest.mark.slow
def test_the_keys_have_their_values_or_the_document_is_whole(document):
    text = pruned(document, "a", "c d", "%s")
    if text != document:
        whole = json.loads(document)
        expected = {key: whole.get(key) for key in ("a", "c d", "%s")}
        assert repr(json.loads(text)) == repr(expected)


def levels_of(value):
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(levels_of, value.values() if isinstance(value, dict) else value), default=0)


@given(st.dictionaries(st.sampled_from(["a", "b", "c d"]), values), spellings)
@settings(max_examples=200, deadline=None)
@example({"b": '"', "a": '\\"'}, {})
def test_a_document_with_plain_keys_is_pruned(value, spelling):
    assume(levels_of(value) <= 7 and "indent" not in spelling)
    text = pruned(json.dumps(value, **spelling), "a")
    assert text == json.dumps({"a": value.get("a")}, **spelling).replace('{"a": ', '{"a":', 1)


def test_what_the_store_writes_is_pruned():
    text = (
        '{"id": "x", "input": {"m": [{"c": [{"t": "a \\"b\\" {[\\\\"}]}]}, "n": -1.5e3, '
        '"é": [], "metrics": {"t": 1}, "o": null}'
    )
    assert pruned(text, "metrics", "gone") == '{"metrics":{"t": 1},"gone":null}'
    compact = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    assert pruned(compact, "metrics") == '{"metrics":{"t":1}}'


@pytest.mark.parametrize(
    "document",
    ['[{"a": 1}]', '"a"', "1", "", " {}", '{"a": 1}\n', '{"a": 1} {"a": 2}', '{\n"a": 1}', '{"a',
     '{"a": ' + "[" * 7 + "]" * 7 + "}", '{"\\u0061": 1}', '{"b": 1, "a"', '{"a": 1]', "{a: 1}"],
)  # fmt: skip
def test_a_document_of_another_shape_is_whole(document):
    assert pruned(document, "a") == document


@pytest.mark.parametrize(
    "document",
    [
        "{" + '"a":1,' * 50_000,
        '{"b":' + '"\\"' * 50_000,
        '{"b":[' + "[[1,2]]," * 50_000 + "[" * 9,
        "{" + ",".join(f'"k{n}":"\\"{n}"' for n in range(50_000)) + ',"b":' + "[" * 9 + "]" * 9,
    ],
)
@pytest.mark.timeout(10)
def test_a_shape_that_fails_late_fails_soon(document):
    assert pruned(document, "a", "b") == document


# Nothing changes

paths = st.sampled_from(
    [".a", ".b", ".a.b", '."c d"', '."%s"', ".b?", ".a[0]?", ".a[]?", ".a[1:]?", ".gone", ".a.b?"]
)
atoms = paths | st.sampled_from(
    ["1", "-2.5", "true", "null", '"a"', '"\\""', "$x", "not", "empty", ".", "length", "keys",
     "{a}", '{"c d"}', "[.a, .b]"]
)  # fmt: skip
operators = ["|", "|", ",", "==", "!=", "<", ">=", "and", "or", "//", "+", "-", "*", "/"]
programs = st.recursive(
    paths | atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(operators), inner).map(" ".join),
        st.tuples(inner, inner).map(lambda p: f"select({p[0]}) | {p[1]}"),
        st.tuples(paths, inner).map(lambda p: f"({p[0]} | {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"{{a, x: ({p[0]}), y: {p[1]}}}"),
        inner.map(lambda p: f"select({p})"),
        inner.map(lambda p: f"({p})"),
        inner.map(lambda p: f"({p}).a"),
        inner.map(lambda p: f"[{p}]"),
        inner.map(lambda p: f"-({p})"),
        st.tuples(paths, inner).map(lambda p: f"({p[0]} | map({p[1]}))"),
        st.tuples(
            paths, st.sampled_from(["test", "startswith", "contains", "has", "split"]), inner
        ).map(lambda p: f"({p[0]} | {p[1]}({p[2]}))"),
    ),
    max_leaves=6,
)


@given(program=programs, document=documents(values | st.dictionaries(names, values)))
@settings(max_examples=200, deadline=None)
@example(program="{a}", document='{"a":1,"b":2}')
@example(program="select(.a)", document='{"a":1,"b":2}')
@example(program=".a + .b", document='{"a":{"a":1},"b":{"b":2}}')
@pytest.mark.slow
def test_what_a_program_says_of_a_document_is_the_same(program, document):
    modes = {"flags": jq.matches, "outputs": jq.mapped}
    concerned = [call for mode, call in modes.items() if keys_of(program, mode)]
    assume(concerned)
    for call in concerned:
        assert_nothing_changes(call, program, document)


@pytest.mark.parametrize("call", [jq.matches, jq.mapped])
@pytest.mark.parametrize(
    "document",
    ["", "1 2", "[1", '{"a": 1} x', "nan1", "null", "[]", '"a"', '{"a": 1, b}',
     '{"a": "\\ud800", "b": 1}', '{"b": "\\ud800"}', '{"b": NaN, "a": -Infinity}',
     '{"b": Infinity, "a": "x"}', '{"a": "1"}', '{"b": "\ud800", "a": 1}',
     '{"a": ' + "9" * 5000 + "}", '{"b": ' + "[" * 12_000 + "]" * 12_000 + "}"],
    ids=lambda document: ascii(document[:24]),
)  # fmt: skip
def test_errors_are_the_same(call, document):
    assert_nothing_changes(call, ".a - 1", document)


@pytest.mark.parametrize("call", [jq.matches, jq.mapped])
def test_only_a_fault_in_a_trusted_text_that_is_not_asked_for_goes_unnoticed(call):
    faulty = '{"a": 1, "b": truth}'
    assert not call(".a", [faulty], trusted=True, skip_errors=True).skipped
    assert call(".b", [faulty], trusted=True, skip_errors=True).skipped
    assert call(".a", [faulty], skip_errors=True).skipped


def test_a_very_long_document_is_whole():
    document = json.dumps({"a": 1, "b": ["x"] * 900_000})
    assert pruned(document, "a") == document
    assert jq.mapped(".a", [document], trusted=True).outputs == [[1]]
