"""A cell or a call that means many requests, taken apart."""

from __future__ import annotations

import gc
import io
import itertools
import tracemalloc
from collections import namedtuple
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.cell.grammar import Given, parse_line
from replicate_magic.cell.many import Many, call_items, call_many, cell_items, cell_many
from replicate_magic.cell.plan import plan, read_target
from replicate_magic.cell.rows import rows_in
from replicate_magic.cell.schema import Schema
from replicate_magic.errors import CellError, TemplateError

A, B = read_target("acme/a"), read_target("acme/b")
ROWS = [{"text": "one", "n": 1}, {"text": "two", "n": 2}]


def cell(text, body=None, **names):
    """The requests of a cell, whose words are its models."""
    line = parse_line(text)
    targets = [read_target(word) for word in line.words] or [A]

    def evaluate(source):
        return eval(source, names)

    return list(cell_items(cell_many(targets, line, evaluate, rows_in), line, body, evaluate))


def call(inputs=None, *, models=(A,), **many):
    return list(call_items(call_many(models, **many), inputs or {}))


def sent(item):
    """What is sent of a request to a model that takes anything."""
    return plan(item.target, item.draft, Schema(), lambda path, _: path.name.encode()).input


def prompts(items):
    return [item.draft.prompt for item in items]


def values(items, name):
    return [sent(item).get(name, "-") for item in items]


# -- which requests there are, and in which order ---------------------------------------------


def test_models_stand_side_by_side():
    items = cell("acme/b acme/a:1 n=5", "Say hello.")

    assert [str(item.target) for item in items] == ["acme/b", "acme/a:1"]
    assert [sent(item) for item in items] == [{"n": 5, "prompt": "Say hello."}] * 2


def test_a_grid_is_every_combination_with_the_last_key_fastest():
    items = cell("--grid t=0.1,0.9 --grid style=oil,ink", "An owl")

    assert [(sent(i)["t"], sent(i)["style"]) for i in items] == [
        (0.1, "oil"), (0.1, "ink"), (0.9, "oil"), (0.9, "ink"),
    ]  # fmt: skip


def test_all_of_it_combines_rows_outermost_then_grid_then_models_then_repeats():
    items = cell("acme/a acme/b --rows df --grid t=1,2 --repeat 2", "{{row.text}}", df=ROWS)

    order = [(i.draft.prompt, sent(i)["t"], i.target, i.repeat) for i in items]
    assert order == list(itertools.product(["one", "two"], [1, 2], [A, B], [0, 1]))
    assert [item.number for item in items] == list(range(16))


def test_one_request_is_one_item():
    [item] = cell("acme/a n=1", "Hi")

    assert (item.number, item.repeat, item.seeds) == (0, 0, False)
    assert (dict(item.params), dict(item.row)) == ({}, {})


def test_a_call_takes_apart_what_a_cell_does():
    found = call({"prompt": "{{row.text}}"}, models=(A, B), rows=ROWS, grid={"t": [1, 2]}, repeat=2)
    written = cell("acme/a acme/b --rows df --grid t=1,2 --repeat 2 prompt={{row.text}}", df=ROWS)

    assert [sent(item) for item in found] == [sent(item) for item in written]
    assert [(i.number, i.target, i.repeat) for i in found] == [
        (i.number, i.target, i.repeat) for i in written
    ]


SIZES = st.integers(1, 3)


@settings(deadline=None)
@given(
    targets=SIZES,
    rows=st.none() | SIZES,
    keys=st.lists(SIZES, max_size=3),
    repeat=SIZES,
)
def test_each_combination_comes_once_and_is_numbered_in_order(targets, rows, keys, repeat):
    many = Many(
        targets=tuple(read_target(f"acme/m{n}") for n in range(targets)),
        grid={f"k{n}": [f"v{v}" for v in range(size)] for n, size in enumerate(keys)},
        rows=None if rows is None else [{"id": n} for n in range(rows)],
        repeat=repeat,
    )
    items = list(call_items(many, {} if rows is None else {"id": "{{row.id}}"}))

    def place(item):
        combination = [int(item.draft.inputs[key][1:]) for key in many.grid]
        row, model = item.draft.inputs.get("id", 0), many.targets.index(item.target)
        return row, *combination, model, item.repeat

    assert len(items) == many.total == targets * (rows or 1) * prod(keys) * repeat
    assert [item.number for item in items] == list(range(len(items)))
    places = [place(item) for item in items]
    assert places == sorted(set(places))


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        (None, 40),
        ([1, 2, 3], 120),
        (range(10**12), 40 * 10**12),
        ((n for n in range(3)), None),
        (map(str, [1]), None),
    ],
)
def test_the_total_is_told_without_listing_anything(rows, total):
    many = Many(targets=(A, B), grid={"t": range(5), "s": ["x"]}, rows=rows, repeat=4)

    assert many.total == total


# -- what a grid's values are -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x=1,2.5,yes", [1, 2.5, "yes"]),
        ('"x=in oil, in ink"', ["in oil", "in ink"]),
        ("x=one", ["one"]),
        ("x=@a.txt,b", ["data:text/plain;base64,YS50eHQ=", "b"]),
        ('x:=["a, b", 1, null, [2, 3]]', ["a, b", 1, None, [2, 3]]),
        ("x={{[1, 'a, b']}}", [1, "a, b"]),
        ("x={{range(2)}}", [0, 1]),
        ("x={{(n * n for n in range(3))}}", [0, 1, 4]),
        ("x={{array}}", [0.5, 1.5]),
        ("x={{pair[0]}},{{pair[1]}}", ["a, b", [7]]),
        ("x={{n}}cm,{{n + 1}}cm", ["5cm", "6cm"]),
        ("x={{[1, 2]}},0", [[1, 2], 0]),
        ('x:=["{{n}}, {{n}}", "{{pair[1]}}"]', ["5, 5", [7]]),
        ('x:=[["{{n}}"], {"a": "n is {{n}}"}]', [[5], {"a": "n is 5"}]),
        ("x={{['{{n}}']}}", ["{{n}}"]),
        ("x=a,a", ["a", "a"]),
    ],
)
def test_a_value_of_a_grid_is_what_was_written(text, found):
    names = {"n": 5, "pair": ["a, b", [7]], "array": np.array([0.5, 1.5])}

    assert values(cell(f"--grid {text}", "Hi", **names), "x") == found


def test_without_expansion_a_grid_is_text():
    assert values(cell("--raw --grid x={{n}},b", "Hi"), "x") == ["{{n}}", "b"]
    assert values(cell('--raw --grid x:=["{{n}}"]', "Hi"), "x") == ["{{n}}"]


def test_a_grid_may_be_of_prompts_which_see_the_row():
    items = cell(
        '--rows df --grid prompt:=["In short: {{row.text}}", "At length, {{row.text}}"]', df=ROWS
    )

    assert values(items, "prompt") == [
        "In short: one", "At length, one", "In short: two", "At length, two",
    ]  # fmt: skip
    assert items[1].params == {"prompt": "At length, one"}


def test_a_grid_from_python_may_hold_templates_too():
    items = call(
        {"n": 1}, rows=ROWS, grid={"prompt": ["{{row.text}}!", "{{row.text}}?"], "t": (0, 1)}
    )

    assert values(items, "prompt")[:4] == ["one!", "one!", "one?", "one?"]
    assert values(items, "t")[:4] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x=",
            r"--grid x=: a value is empty\. No blanks stand beside the commas.*:=\[\"\", \"a\"\]",
        ),
        ("x=1,", "--grid x=1,: a value is empty"),
        ("x=1,,2", "a value is empty"),
        ("x:=5", "--grid x:=5 is no list"),
        ('x:="a"', "is no list"),
        ("x:=[]", r"--grid x has no values\."),
        ("x:=[1,", r"--grid x:=\[1, is not JSON: .*A blank stands before the key"),
        ("x={{5}}", r"--grid x is 5: write a list of values, \[5\] for this one alone"),
        ("x={{'ab'}}", "--grid x is 'ab': write a list of values"),
        ("x={{ {'a': 1} }}", r"--grid x is \{'a': 1\}: write a list"),
        ("x={{ {1, 2} }}", r"--grid x is a set, which has no order: sorted\(…\)"),
        ("x={{[]}}", "--grid x has no values"),
        ("x={{range(100_001)}}", "--grid x has more than 100,000 values"),
        ("x={{itertools.count()}}", "--grid x has more than 100,000 values"),
        ("x={{open_file}}", "write a list of values"),
        ("x={{nothing}}", r"\{\{nothing\}\}: NameError"),
        ("x={{1}},{{nothing}}", r"\{\{nothing\}\}: NameError"),
        ("prompt=a,b", "prompt is given twice: in the grid and as the body"),
        ("text=a,b --prompt-key text", "text is given twice: in the grid and as the body"),
        ("y=1 y=2", "y is given twice: in the grid and as an input"),
        ("h=1", "h is given twice: in the grid and as an input"),
    ],
)
def test_a_grid_that_makes_no_sense_says_so(text, message):
    names = {"itertools": itertools, "open_file": io.StringIO("a\nb")}

    with pytest.raises(CellError, match=message):
        cell(f"--grid {text}", "---\nh: 2\n---\nHi", **names)


@pytest.mark.parametrize(
    ("many", "message"),
    [
        ({"grid": {"t": 0.5}}, r"grid: t is 0\.5: write a list of values, \[0\.5\]"),
        ({"grid": {"t": "abc"}}, "grid: t is 'abc': write a list"),
        ({"grid": {"t": []}}, "grid: t has no values"),
        ({"repeat": 0}, "repeat 0: that is no whole number from 1 to 10,000"),
        ({"models": ()}, "No model is named"),
        ({"models": (A, B, A)}, "acme/a is named twice: --repeat 2"),
        ({"grid": {"n": [1]}}, "n is given twice: in the grid and as an input"),
        ({"rows": ROWS}, "rows: no text mentions row, so that all requests would be the same"),
    ],
)
def test_a_call_that_makes_no_sense_says_so(many, message):
    with pytest.raises(CellError, match=message):
        call({"n": 5}, **many)


def test_a_grid_of_several_inputs_holds_no_more_than_its_own_values():
    many = call_many((A,), grid={"a": range(100_000), "b": range(100_000), "c": range(100_000)})
    items = call_items(many, {})

    assert many.total == 10**15
    assert [dict(item.params) for item in itertools.islice(items, 2)] == [
        {"a": 0, "b": 0, "c": 0}, {"a": 0, "b": 0, "c": 1},
    ]  # fmt: skip


# -- rows -------------------------------------------------------------------------------------

Point = namedtuple("Point", ["text", "n"])  # noqa: PYI024  (as DataFrame.itertuples gives)


@pytest.mark.parametrize(
    ("row", "expression", "value"),
    [
        ({"text": "a"}, "row.text", "a"),
        ({"my column": "a"}, 'row["my column"]', "a"),
        ({"items": "a", "keys": "b"}, "row.items + row.keys", "ab"),
        ({"values": "a", "get": "b"}, "row.values + row.get", "ab"),
        ({"text": "a"}, "row.get('x', 'none')", "none"),
        ({"text": "a"}, "getattr(row, 'x', 'none')", "none"),
        ({"text": "a", "n": 1}, "', '.join(row)", "text, n"),
        ({"a": 1}, "[key for key, value in row.items()]", ["a"]),
        ({"a": 1, "items": 2}, "row", {"a": 1, "items": 2}),
        ({"n": 2}, "[x * row.n for x in (1, 2)]", [2, 4]),
        ({"n": 2}, "(lambda f: f(row.n))(str)", "2"),
        ({"n": 2}, "f'{row.n:03}'", "002"),
        ({0: "a"}, "row[0]", "a"),
        ("a text", "row.upper()", "A TEXT"),
        (5, "row + 1", 6),
        (("a", "b"), "row[1]", "b"),
        (Point("a", 1), "row.text", "a"),
    ],
)
def test_row_is_the_row(row, expression, value):
    assert values(cell(f"--rows df x={{{{{expression}}}}}", df=[row]), "x") == [value]
    assert values(call({"x": f"{{{{{expression}}}}}"}, rows=[row]), "x") == [value]


def test_row_is_known_in_the_body_the_header_and_the_inputs():
    [item] = cell(
        "--rows df a={{row.n}} b=x{{row.n}}",
        "---\nc: {{row.n + 1}}\nd := [{{row.n}}, 2]\n---\n{{ row.text }}, {{row.n}} times",
        df=ROWS[:1],
    )

    assert sent(item) == {"a": 1, "b": "x1", "c": 2, "d": [1, 2], "prompt": "one, 1 times"}
    assert item.draft.template == "{{ row.text }}, {{row.n}} times"


def test_a_row_covers_a_variable_of_its_name_only_where_there_are_rows():
    assert prompts(cell("--rows df", "{{row}}", df=["a"], row="mine")) == ["a"]
    assert prompts(cell("--repeat 2", "{{row}}", row="mine")) == ["mine", "mine"]
    assert cell("x={{row}} --repeat 2", row="mine")[0].params == {"repeat": 1}


def test_a_text_from_a_row_is_never_expanded_again():
    rows = [{"text": "{{1 + 1}} {{row.n}}"}]

    assert prompts(cell("--rows df", "{{row.text}}", df=rows)) == ["{{1 + 1}} {{row.n}}"]
    assert values(call({"x": "{{row.text}}"}, rows=rows), "x") == ["{{1 + 1}} {{row.n}}"]


def test_all_columns_are_inputs_where_they_are_asked_for():
    items = cell(
        "--rows df --input-from row n=9",
        df=[{"prompt": "a", "n": 1, "t": 0.5}, {"prompt": "b", "n": 2, "t": float("nan")}],
    )

    assert [sent(item) for item in items] == [
        {"prompt": "a", "n": 9, "t": 0.5}, {"prompt": "b", "n": 9},
    ]  # fmt: skip
    assert [dict(item.params) for item in items] == [{"t": 0.5}, {"t": None}]


def test_templates_from_python_stand_at_any_depth():
    messages = [{"role": "user", "content": "Sum up {{row.text}}"}, {"n": "{{row.n}}"}]

    [first, _] = call({"messages": messages, "role": "{{user}}"}, rows=ROWS)
    assert sent(first) == {
        "messages": [{"role": "user", "content": "Sum up one"}, {"n": 1}], "role": "{{user}}",
    }  # fmt: skip
    assert messages[0]["content"] == "Sum up {{row.text}}"


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers()), min_size=1, max_size=5))
def test_what_stands_in_a_row_goes_into_the_text_as_it_is(columns):
    rows = [{**row, "text": f"{{{{1 / 0}}}}{row}"} for row in columns]
    wanted = [f"<{row['text']}>{row}" for row in rows]

    assert prompts(cell("--rows df", "<{{row.text}}>{{row}}", df=rows)) == wanted
    assert values(call({"x": "<{{row.text}}>{{row}}"}, rows=rows), "x") == wanted


def test_without_rows_a_text_from_python_is_sent_as_it_is():
    assert values(call({"x": "{{row.text}} {{y}}"}, repeat=2), "x") == ["{{row.text}} {{y}}"] * 2


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float64("nan")])
def test_an_input_of_a_column_that_is_missing_is_left_out(nothing):
    rows = [{"text": "a", "t": 0.5}, {"text": "b", "t": nothing}]
    written = cell("--rows df t={{row.t}}", "{{row.text}}", df=rows)
    called = call({"t": "{{row.t}}", "prompt": "{{row.text}}"}, rows=rows)

    assert values(written, "t") == values(called, "t") == [0.5, "-"]
    assert [item.params["t"] for item in written] == [0.5, None]
    assert values(cell("--rows df --grid x={{row.t}},1", "{{row.text}}", df=rows), "x") == [
        0.5, 1, "-", 1,
    ]  # fmt: skip
    assert values(call({"x": ["{{row.t}}"]}, rows=rows), "x") == [[0.5], [None]]


ROW_1 = r"Row 1 \(counted from 0\): "


@pytest.mark.parametrize(
    ("row", "text", "message"),
    [
        ({"text": None}, "a {{row.text}}", ROW_1 + r"\{\{row\.text\}\} is missing\.$"),
        ({"text": None}, "{{row.text}}", ROW_1 + r".* is missing\.$"),
        ({"text": float("nan")}, "{{row.text}}", ROW_1 + r".* is missing\.$"),
        (
            {"txt": "b", "n": 2},
            "{{row.text}}",
            ROW_1 + r"\{\{row\.text\}\}: There is no column text\. Did you mean txt\? "
            r"The columns: txt, n\.$",
        ),
        (
            {"Text": "b"},
            '{{row["text"]}}',
            r"There is no column text\. Did you mean Text\? The columns: Text\.$",
        ),
        ({"text": 5}, "{{row.text.upper()}}", ROW_1 + r".*AttributeError: 'int' object has no"),
        ("b", "{{row.text}}", ROW_1 + r".*AttributeError: 'str' object has no attribute 'text'"),
        ({"text": "b"}, "{{row.text}} {{1 / (row.text != 'b')}}", ROW_1 + ".*ZeroDivisionError"),
    ],
)
def test_what_is_wrong_with_a_row_names_it(row, text, message):
    rows = [{"text": "a"}, row]

    for items in (
        lambda: cell("--rows df", text, df=rows),
        lambda: cell("--rows df", f"---\nx: >{text}\n---\n", df=rows),
        lambda: call({"prompt": text}, rows=rows),
        lambda: call({"n": 1}, rows=rows, grid={"prompt": [f"{text}!"]}),
    ):  # fmt: skip
        with pytest.raises(CellError, match=message) as caught:
            items()
        assert "Nothing was sent" not in str(caught.value)
        assert "--raw" not in str(caught.value)


def test_a_prompt_that_is_missing_is_told_and_not_left_to_the_models_default():
    rows = [{"text": "a"}, {"text": None}]

    for items in (
        lambda: cell("--rows df prompt={{row.text}}", df=rows),
        lambda: cell("--rows df --prompt-key t t={{row.text}}", df=rows),
        lambda: cell("--rows df --grid prompt={{row.text}},x", df=rows),
        lambda: cell("--rows df --input-from row", df=[{"prompt": "a"}, {"prompt": None}]),
        lambda: call({"prompt": "{{row.text}}"}, rows=rows),
    ):
        with pytest.raises(CellError, match=ROW_1 + r"(prompt|t|\{\{row.text\}\}) is missing\.$"):
            items()


def test_an_error_that_has_nothing_to_do_with_the_row_names_none():
    with pytest.raises(TemplateError, match=r"^\{\{nme\}\}: NameError.*--raw\.$"):
        cell("--rows df", "{{row.text}} {{nme}}", df=ROWS)
    with pytest.raises(TemplateError, match=r"^\{\{nme\}\}: NameError.*sees `row` alone\.$"):
        call({"x": "{{row.text}} {{nme}}"}, rows=ROWS)


def test_an_error_keeps_its_cause():
    with pytest.raises(CellError) as caught:
        cell("--rows df", "{{1 / row}}", df=[0])

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("text", "body", "message"),
    [
        ("--rows df", "Hi", "--rows: nothing mentions row.*--repeat N runs the same"),
        ("--rows df x={{table.row}}", "Hi", "nothing mentions row"),
        ("--rows df x={{[row for row in table]}}", "Hi", "nothing mentions row"),
        ("--rows df --raw", "{{row.text}}", "nothing mentions row"),
        (
            "--rows df --grid x={{row.n}}",
            "Hi",
            "a grid is the same for all rows.*x={{row.n}} alone",
        ),
        ("--rows dff", "{{row}}", "--rows dff: NameError: name 'dff' is not defined"),
        ("--rows {{1 / 0}}", "{{row}}", "--rows 1 / 0: ZeroDivisionError"),
        ("--rows none", "{{row}}", r"--rows none has no rows\."),
        ("--rows empty", "{{row}}", "There was no row"),
        ("--rows {{'abc'}}", "{{row}}", "--rows 'abc' is a text: give a DataFrame, or a list"),
        ("--rows {{ {'a': 1} }}", "{{row}}", "is one dict: rows are a list of such"),
        ("--rows {{5}}", "{{row}}", "--rows 5 is of type int: give a pandas DataFrame"),
        ("--rows df --input-from row", None, "Row 0 .*--input-from row: that is no dict"),
        ("acme/a acme/a", "Hi", "acme/a is named twice: --repeat 2"),
    ],
)
def test_rows_that_make_no_sense_say_so(text, body, message):
    names = {"df": ["a"], "none": [], "empty": iter(()), "table": namedtuple("T", ["row"])(1)}  # noqa: PYI024

    with pytest.raises(CellError, match=message):
        cell(text, body, **names)


class Table:
    """A table of another library, which gives its columns one after the other."""

    columns = ("a", "b")

    def __iter__(self):
        return iter(self.columns)


def test_a_table_that_is_not_pandas_own_is_refused():
    with pytest.raises(CellError, match=r"rows is of type \w+\.Table: give a pandas DataFrame"):
        rows_in(Table())


@pytest.mark.parametrize(
    "rows", [[1], (1,), {1}, range(1), iter([1]), np.array([1]), {1: 2}.items()]
)
def test_any_other_iterable_gives_rows(rows):
    assert rows_in(rows) is rows


# -- how often, and when ----------------------------------------------------------------------


def test_an_expression_is_evaluated_once_and_one_with_row_once_a_row():
    calls = []

    def note(what, value=""):
        calls.append(what)
        return value

    items = cell(
        "acme/a acme/b --rows df --repeat 2 --grid t=1,2 --grid s={{note('value')}}x,y "
        "a={{note('input', 5)}} b={{note(row.text, row.n)}}",
        "{{note('body')}} {{note(row.n)}}",
        df=ROWS,
        note=note,
    )

    assert len(items) == 32
    assert sorted(map(str, calls)) == ["1", "2", "body", "input", "one", "two", "value"]


def test_the_same_expression_in_two_places_is_evaluated_twice():
    items = cell("--grid t=1,2", "{{next(n)}} {{next(n)}}", n=itertools.count())

    assert prompts(items) == ["0 1", "0 1"]


def test_rows_are_read_as_they_are_needed():
    read = []

    def rows():
        for n in itertools.count():
            read.append(n)
            yield {"n": n}

    many = Many(targets=(A, B), grid={"t": [1, 2]}, rows=rows())
    items = call_items(many, {"prompt": "{{row.n}}"})

    assert (many.total, read) == (None, [0])
    assert values(itertools.islice(items, 5), "prompt") == [0, 0, 0, 0, 1]
    assert read == [0, 1]


def test_a_long_generator_takes_no_more_memory_than_a_short_one():
    def peak(rows):
        items = call_items(
            Many(targets=(A,), rows=({"text": f"{n} " + "x" * 10_000} for n in range(rows))),
            {"prompt": "{{row.text}}"},
        )
        gc.collect()
        tracemalloc.start()
        count = sum(1 for _ in items)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == rows
        return most

    assert peak(600) < peak(60) + 200_000


def test_what_is_wrong_with_the_first_row_is_raised_at_once():
    many = Many(targets=(A,), rows=[{"text": "a"}])

    with pytest.raises(CellError, match="There is no column txt"):
        call_items(many, {"prompt": "{{row.txt}}"})


def test_what_the_callers_own_generator_raises_is_left_as_it_is():
    def rows():
        yield "a"
        raise LookupError("the database is gone")

    items = call_items(Many(targets=(A,), rows=rows()), {"prompt": "{{row}}"})

    assert values([next(items)], "prompt") == ["a"]
    with pytest.raises(LookupError, match="the database is gone"):
        next(items)


def test_an_open_file_is_read_once_and_sent_each_time():
    def file():
        return io.BytesIO(b"x")

    url = "data:application/octet-stream;base64,eA=="
    found = [
        cell("acme/a acme/b image={{file}}", file=file()),
        cell("--repeat 2 --input-from d", d={"image": file()}),
        cell("acme/a acme/b --rows df image={{row.file}}", df=[{"file": file()}]),
        cell("acme/a acme/b --grid image={{[file]}}", file=file()),
        call({"image": file()}, models=(A, B)),
        call({"image": [file()]}, models=(A, B)),
        call({}, models=(A, B), grid={"image": [file()]}),
        list(call_items(Many(targets=(A, B), grid={"image": [file()]}), {})),
    ]

    assert [values(items, "image") for items in found] == [
        [[url]] * 2 if items is found[5] else [url] * 2 for items in found
    ]


def test_an_object_stays_what_it_is_within_a_text():
    assert prompts(cell("--repeat 1", "{{(1, [2])}}")) == ["(1, [2])"]
    assert prompts(cell("--rows df", "{{row.pair}}", df=[{"pair": (1, [2])}])) == ["(1, [2])"]


# -- what tells them apart --------------------------------------------------------------------


def test_params_are_what_differs_as_a_reader_would_write_it():
    items = cell(
        'acme/a --rows df --grid t=0.1,0.9 --grid image=@a.png --grid o:=[[1, "b"]] '
        "--repeat 2 n={{row.n}} same=1 both=x{{row.n}}",
        "{{row.text}}",
        df=ROWS,
    )

    assert [dict(item.params) for item in items[:2]] == [
        {"repeat": 1, "t": "0.1", "image": "@a.png", "o": '[1, "b"]', "n": 1, "both": "x1"},
        {"repeat": 2, "t": "0.1", "image": "@a.png", "o": '[1, "b"]', "n": 1, "both": "x1"},
    ]
    assert items[-1].params["t"] == "0.9"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(5), 5),
        (Path("a/b.png"), str(Path("a/b.png"))),
        (b"abc", "(bytes)"),
        (None, None),
        (True, True),
        ([1, 2], "[1, 2]"),
        (Given(text="x"), "x"),
    ],
)
def test_a_param_is_plain(value, shown):
    [item] = call_items(Many(targets=(A,), grid={"x": (value,)}), {})

    assert item.params == {"x": shown}
    assert type(item.params["x"]) is type(shown)


def test_neither_the_prompt_of_a_row_nor_the_model_is_a_param():
    assert call({"prompt": "{{row.text}}", "n": "{{row.n}}"}, rows=ROWS)[0].params == {"n": 1}
    assert cell("--prompt-key t --rows df t={{row.text}}", df=ROWS)[0].params == {}


def test_an_input_that_is_named_repeat_stays():
    assert call({}, grid={"repeat": ["a"]}, repeat=2)[1].params == {"repeat": "a"}


def test_the_row_is_told_by_its_plain_columns():
    row = {"text": "a", "n": np.int64(1), "nan": float("nan"), "list": [1], 5: True}

    [item] = call({"x": "{{row['text']}}"}, rows=[row])
    assert item.row == {"text": "a", "n": 1, "nan": None, "5": True}
    assert type(item.row["n"]) is int
    assert call({"x": "{{row.n}}"}, rows=[Point("a", 1)])[0].row == {"text": "a", "n": 1}
    assert call({"x": "{{row}}"}, rows=["a"])[0].row == {}


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("--rows df --repeat 2 x={{row.n}}", True),
        ("--rows df --repeat 2 x={{row.n}} seed=5", True),
        ("--rows df --repeat 2 seed={{row.n}}", False),
        ("--rows df --repeat 2 --input-from row", True),
        ("--rows df --repeat 2 seed={{row.none}} x={{row.n}}", True),
        ("--rows seeded --repeat 2 --input-from row", False),
        ("--rows unseeded --repeat 2 --input-from row", True),
        ("--rows df --repeat 2 x={{row.n}} --grid seed=1,2", False),
        ("--rows df x={{row.n}}", False),
        ("--rows df --repeat 1 x={{row.n}}", False),
    ],
)
def test_a_seed_is_counted_up_where_neither_grid_nor_row_give_it(text, seeds):
    seeded, unseeded = [{"n": 1, "seed": 5}], [{"n": 1, "seed": None}]
    items = cell(text, df=[{"n": 1, "none": None}], seeded=seeded, unseeded=unseeded)

    assert {item.seeds for item in items} == {seeds}


def test_a_draft_says_how_it_is_to_be_sent():
    [item] = call_items(Many(targets=(A,)), {"n": 1}, force=True)

    assert item.draft.force
    assert cell("--force --grid x=1")[0].draft.force
