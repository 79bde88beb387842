"""What may be written on a line and in a header block."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replicate_magic.cell.grammar import Given, parse_line, split_header, tokenize
from replicate_magic.cell.options import FORMATS, OPTIONS, duration
from replicate_magic.errors import CellError
from replicate_magic.plain import did_you_mean


def words_of(text):
    return [token.text for token in tokenize(text)]


def inputs_of(text):
    return {key: (given.kind, given.text) for key, given in parse_line(text).inputs.items()}


def given_options(text):
    """The options that differ from their defaults."""
    options, defaults = parse_line(text).options, parse_line("").options
    names = options.__dataclass_fields__
    return {
        name: getattr(options, name)
        for name in names
        if getattr(options, name) != getattr(defaults, name)
    }


# -- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("   \t ", []),
        ("a b", ["a", "b"]),
        ("  a\tb\n c ", ["a", "b", "c"]),
        ('"a b" c', ["a b", "c"]),
        ("'a b' c", ["a b", "c"]),
        ('a"b c"d', ["ab cd"]),
        ("''", [""]),
        ('a ""', ["a", ""]),
        (r"a\ b", ["a b"]),
        (r"\"a", ['"a']),
        (r'"a\"b"', ['a"b']),
        (r'"a\\b"', [r"a\b"]),
        (r'"a\nb"', [r"a\nb"]),
        (r"'a\b'", [r"a\b"]),
        ("'it'\\''s'", ["it's"]),
        ('"it\'s"', ["it's"]),
        ("a\\", ["a\\"]),
        ("#a b#c", ["#a", "b#c"]),
        ("größe 😀", ["größe", "😀"]),
        ("a;b|c>d&e", ["a;b|c>d&e"]),
        ("$HOME {x} ~", ["$HOME", "{x}", "~"]),
    ],
)
def test_words_are_split_as_in_a_shell(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    "expression",
    [
        "{{x}}",
        "{{ x }}",
        "{{ x + 1 }}",
        "{{f('a b', \"c d\")}}",
        "{{ {'a': {'b': 1}} }}",
        "{{{'a': {'b': {}}}}}",
        "{{'}}'}}",
        "{{ [n for n in x if n > 2] }}",
        r"{{ 'a\'b' }}",
        "{{ '''it's''' }}",
    ],
)
@pytest.mark.parametrize("shape", ["{}", "k={}", "a{}b", '"a {} b"', "'{}'"])
def test_an_expression_is_one_piece_with_its_blanks_quotes_and_braces(expression, shape):
    written = shape.replace("{}", expression)
    unquoted = written[1:-1] if written[0] in "'\"" else written

    assert words_of(f"m {written} end") == ["m", unquoted, "end"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{#each x}}", ["{{#each", "x}}"]),
        ("{{a b", ["{{a", "b"]),
        ("{{ it's }}'", ["{{", "its }}"]),
        ("{a b}", ["{a", "b}"]),
    ],
)
def test_braces_around_no_expression_are_plain_text(text, words):
    assert words_of(text) == words


@settings(deadline=None)
@given(st.lists(st.text().filter(lambda word: "{{" not in word)))
@example(["", " ", "'", '"', "\\", "\n", "a=b", "--x"])
def test_what_a_shell_quotes_is_read_back_as_it_was(words):
    assert words_of(shlex.join(words)) == words


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("it's here", 3),
        ('a "b', 3),
        ("'", 1),
        (r'"a\"', 1),
        ('k="x {{y}} z', 3),
    ],
)
def test_an_open_quote_is_told_with_its_column(text, column):
    with pytest.raises(CellError, match=rf"column {column} is not closed"):
        tokenize(text)


@settings(deadline=None, max_examples=300)
@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["{{", "}}", "{", "'", '"', "\\", " ", "=", ":=", "@", "-", "--", "k", "[", "1", "#"]
            + ["-o", "--wait=", "--timeout", "--format=", "\0", "\ud800", "٣", "9" * 5000]
            + [f"--{option.name}" for option in OPTIONS]
        )
    ).map("".join)
)
def test_any_line_is_read_or_refused_as_a_cell_error(text):
    with suppress(CellError):
        parse_line(text)


@pytest.mark.parametrize("text", ["{{" * 20_000, "k=" + "{{" * 20_000 + "}}" * 50, "k:=" * 20_000])
def test_a_line_full_of_braces_takes_no_time(text):
    began = time.process_time()
    tokenize(text)
    assert time.process_time() - began < 3


# -- inputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "kind", "value"),
    [
        ("k=v", "k", "text", "v"),
        ("k=", "k", "text", ""),
        ('k=""', "k", "text", ""),
        ('k="two words"', "k", "text", "two words"),
        ("k='two words'", "k", "text", "two words"),
        (r"k=two\ words", "k", "text", "two words"),
        ("k=a=b", "k", "text", "a=b"),
        ("k==b", "k", "text", "=b"),
        ("k=-5", "k", "text", "-5"),
        ("k=--raw", "k", "text", "--raw"),
        ("k=https://x/?a=b&c=d", "k", "text", "https://x/?a=b&c=d"),
        ("k={{ a + b }}", "k", "text", "{{ a + b }}"),
        ("k-l.m_1=v", "k-l.m_1", "text", "v"),
        ("größe=1", "größe", "text", "1"),
        ("k=@cat.png", "k", "file", "cat.png"),
        ('k=@"my cat.png"', "k", "file", "my cat.png"),
        ("k=@{{path}}", "k", "file", "{{path}}"),
        ("k=a@b", "k", "text", "a@b"),
        ("k={{'@x'}}", "k", "text", "{{'@x'}}"),
        ("k:=1", "k", "json", "1"),
        ("k:=null", "k", "json", "null"),
        ('k:="a"', "k", "json", '"a"'),
        ('k:=["a", "b c"]', "k", "json", '["a", "b c"]'),
        ('k:={"a": {"b": [1, 2]}}', "k", "json", '{"a": {"b": [1, 2]}}'),
        ("k:='[1, 2]'", "k", "json", "[1, 2]"),
        (r'k:="it\"s"', "k", "json", r'"it\"s"'),
        ('k:="@x"', "k", "json", '"@x"'),
        ("k:=", "k", "json", ""),
        ("k:=@x", "k", "json", "@x"),
        ("k:=[1", "k", "json", "[1"),
    ],
)
def test_an_input_is_what_was_written_for_it(text, key, kind, value):
    assert inputs_of(text) == {key: (kind, value)}


@pytest.mark.parametrize(
    "text",
    [
        '"k=v"',
        "'k = v'",
        'k"=v"',
        r"k\=v",
        "https://x/?a=b",
        "=v",
        ":=v",
        "5=v",
        "-5",
        "-0.5",
        "-.5",
        "-",
        '"--raw"',
        "'-q'",
        r"\--raw",
        "a-b",
        "--5",
    ],
)
def test_a_word_is_neither_input_nor_option(text):
    line = parse_line(text)

    assert (len(line.words), dict(line.inputs), given_options(text)) == (1, {}, {})


def test_models_inputs_and_options_stand_in_any_order():
    first = parse_line("a/b seed=1 -o out --raw x:=[1, 2] c/d")
    second = parse_line("--raw x:=[1, 2] -o out a/b seed=1 c/d")

    assert first == second
    assert first.words == ("a/b", "c/d")
    assert list(first.inputs) == ["seed", "x"]


def test_inputs_keep_their_order():
    assert list(parse_line("c=1 a=2 b=3").inputs) == ["c", "a", "b"]


@pytest.mark.parametrize("text", ["k=1 k=2", "k=1 k:=2", "k=@a k=b"])
def test_an_input_given_twice_is_refused(text):
    with pytest.raises(CellError, match="The input k is given twice"):
        parse_line(text)


def test_behind_two_dashes_all_is_words():
    line = parse_line("a/b -q -- --raw k=v -o '--' --nonsense")

    assert line.words == ("a/b", "--raw", "k=v", "-o", "--", "--nonsense")
    assert given_options("a/b -q -- --raw") == {"quiet": True}


def test_quoted_dashes_are_a_word():
    assert parse_line('"--" -q').words == ("--",)


# -- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("-o x", {"output": "x"}),
        ("-ox", {"output": "x"}),
        ("-o=x", {"output": "x"}),
        ("--output x", {"output": "x"}),
        ("--output=x", {"output": "x"}),
        ('--output="x"', {"output": "x"}),
        ("-o größe", {"output": "größe"}),
        ("-q", {"quiet": True}),
        ("--quiet", {"quiet": True}),
        ("--show", {"show": True}),
        ("-f json", {"format": "json"}),
        ("--format=html", {"format": "html"}),
        ("--jq '.a | .b'", {"jq": ".a | .b"}),
        ("--jq='.a | .b'", {"jq": ".a | .b"}),
        ("--jq .a=1", {"jq": ".a=1"}),
        ("--jq -1", {"jq": "-1"}),
        ("--jq '{a: {b: {}}}'", {"jq": "{a: {b: {}}}"}),
        ("--no-stream", {"no_stream": True}),
        ("--no_stream", {"no_stream": True}),
        ("--dry_run --prompt_key=x", {"dry_run": True, "prompt_key": "x"}),
        ("--input-from d", {"input_from": "d"}),
        ("--file 'a b.txt'", {"file": "a b.txt"}),
        ("-h", {"help": True}),
        ("--help", {"help": True}),
        ("--raw", {"raw": True}),
        ("--timeout 90s", {"timeout": 90}),
        ("--timeout=1h30m", {"timeout": 5400}),
        ("--wait", {"wait": 60}),
        ("--wait=5", {"wait": 5}),
        ("--wait=60", {"wait": 60}),
    ],
)
def test_options_are_read(text, options):
    assert given_options(text) == options


def test_wait_takes_no_word_behind_it():
    line = parse_line("--wait 5")

    assert (line.options.wait, line.words) == (60, ("5",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--ouput x", r"no option --ouput\. Did you mean --output\?"),
        ("--no-steam", r"Did you mean --no-stream\?"),
        ("--dryrun", r"Did you mean --dry-run\?"),
        ("--zzz", r"no option --zzz\. %replicate run -h lists them"),
        ("--zzz=5", r"no option --zzz\."),
        ("-x", r"no option -x\."),
        ("-x=1", r"no option -x\."),
        ("-qf json", r"no option -qf\."),
        ("-q -q", "--quiet is given twice"),
        ("-o a --output b", "--output is given twice"),
        ("--dry-run --dry_run", "--dry-run is given twice"),
        ("-o", "--output needs a value: --output VAR"),
        ("--jq", "--jq needs a value: --jq EXPR"),
        ("--timeout", "--timeout needs a value: --timeout DURATION"),
        ("-o a-b", "--output a-b: that is not a variable's name"),
        ("-o 1a", "that is not a variable's name"),
        ("-o ''", "that is not a variable's name"),
        ("--output=", "that is not a variable's name"),
        ("-o class", "--output class: that is not a variable's name"),
        ("-o None", "that is not a variable's name"),
        ("-o a.b", "that is not a variable's name"),
        ("--input-from lambda", "that is not a variable's name"),
        ("--quiet=yes", "--quiet takes no value"),
        ("--raw=", "--raw takes no value"),
        ("-f markdwn", r"there is auto, markdown, .*Did you mean markdown\?"),
        ("--format=", "there is auto"),
        ("--wait=0", "1 to 60 seconds"),
        ("--wait=61", "1 to 60 seconds"),
        ("--wait=5s", "1 to 60 seconds"),
        ("--wait=", "1 to 60 seconds"),
        ("--wait=-1", "1 to 60 seconds"),
        ("--wait=" + "9" * 5000, "1 to 60 seconds"),
        ("--timeout 5x", "5x is not a duration"),
        ("--timeout ''", "nothing is not a duration"),
    ],
)
def test_an_option_that_makes_no_sense_says_so(text, message):
    with pytest.raises(CellError, match=message):
        parse_line(text)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda o: o.name)
def test_every_option_of_the_table_is_known_to_the_parser(option):
    values = {"duration": "5m", "format": "json", "wait": "5", "number": "5", "grid": "a=1"}
    values |= {"dollars": "0.5"}
    value = values.get(option.kind, "x")
    text = f"--{option.name}" if option.kind == "flag" else f"--{option.name}={value}"

    assert list(given_options(text)) == [option.dest]


def test_every_format_is_taken():
    assert [parse_line(f"-f {name}").options.format for name in FORMATS] == list(FORMATS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("90s", 90),
        ("1.5", 1.5),
        ("0.25s", 0.25),
        ("5m", 300),
        ("5m30", 330),
        ("1h", 3600),
        ("1h30m45s", 5445),
        ("2h5s", 7205),
        (" 5m ", 300),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "0s", "-5", "5 m", "1w", "m", "s", "1.5h", "5m3h", "1e3", "inf", "nan"),
        *("9" * 400, "9" * 5000 + "h"),
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(CellError, match="is not a duration: write 30, 90s, 5m or 1h30m"):
        duration(text)


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("promt", ["seed", "prompt"], " Did you mean prompt?"),
        ("x", ["seed", "prompt"], ""),
        ("", ["seed"], ""),
        ("seed", [], ""),
    ],
)
def test_the_nearest_name_is_offered_if_it_is_near(name, known, words):
    assert did_you_mean(name, known) == words


# -- the header block -------------------------------------------------------------------------


def header_of(*lines):
    inputs, body = split_header("\n".join(["---", *lines, "---", "body"]))
    assert body == "body"
    return {key: (given.kind, given.text) for key, given in inputs.items()}


@pytest.mark.parametrize(
    ("lines", "inputs"),
    [
        ([], {}),
        (["seed: 5"], {"seed": ("text", "5")}),
        (["seed:   5  "], {"seed": ("text", "5")}),
        (["seed : 5"], {"seed": ("text", "5")}),
        (["seed:"], {"seed": ("text", "")}),
        (["a: 1", "", "b: 2"], {"a": ("text", "1"), "b": ("text", "2")}),
        (["# a comment", "a: 1", "#b: 2"], {"a": ("text", "1")}),
        (["a: 1 # no comment"], {"a": ("text", "1 # no comment")}),
        (["url: https://x/y:z"], {"url": ("text", "https://x/y:z")}),
        (["a: b: c"], {"a": ("text", "b: c")}),
        (['a: "two words"'], {"a": ("text", "two words")}),
        (["a: 'it'"], {"a": ("text", "it")}),
        (["a: it's"], {"a": ("text", "it's")}),
        (["a: '"], {"a": ("text", "'")}),
        (["a: \"x'"], {"a": ("text", "\"x'")}),
        (["image: @my cat.png"], {"image": ("file", "my cat.png")}),
        (['stop := ["a", "b"]'], {"stop": ("json", '["a", "b"]')}),
        (['stop:=["a"]'], {"stop": ("json", '["a"]')}),
        (['stop:= "a"'], {"stop": ("json", '"a"')}),
        (["stop := ['a',", "  'b']"], {"stop": ("json", "['a',\n'b']")}),
        (
            ["system: You are", "  a poet", "\tof note"],
            {"system": ("text", "You are\na poet\nof note")},
        ),
        (["system:", "  You are", "  a poet"], {"system": ("text", "You are\na poet")}),
        (["a: 1", "  b: 2"], {"a": ("text", "1\nb: 2")}),
        (["a: {{x}}"], {"a": ("text", "{{x}}")}),
        (["a-b.c: 1"], {"a-b.c": ("text", "1")}),
    ],
)
def test_a_header_line_is_an_input(lines, inputs):
    assert header_of(*lines) == inputs


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["seed 5"], "Line 2 of the header block is not `key: value`: seed 5.*--raw"),
        (["a: 1", "", "seed:5"], "Line 4 .*: seed:5"),
        (["  indented: 1"], "Line 2"),
        (["5: a"], "Line 2"),
        (["- a: b"], "Line 2"),
        (["a: 1", "a: 2"], "The input a is given twice"),
    ],
)
def test_a_malformed_header_says_which_line(lines, message):
    with pytest.raises(CellError, match=message):
        header_of(*lines)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "text",
        "---",
        "---\nno end",
        "--- \n",
        " ---\na: 1\n---\n",
        "----\na: 1\n---\n",
        "text\n---\na: 1\n---\n",
        "-- -\n---\n",
    ],
)
def test_a_body_without_a_header_stays_as_it_is(body):
    assert split_header(body) == ({}, body)


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        ("---\na: 1\n---\ntext\n---\nb: 2\n---\n", "text\n---\nb: 2\n---\n"),
        ("---\na: 1\n---\n\n\ntext\n\n", "text\n\n"),
        ("---\na: 1\n---\n  text", "  text"),
        ("---\na: 1\n---", ""),
        ("---  \na: 1\n---\t\ntext", "text"),
        ("---\r\na: 1\r\n---\r\ntext\r\n", "text\r\n"),
        ("---\r\na: 1\r\n---\r\n\r\ntext", "text"),
    ],
)
def test_the_body_begins_behind_the_header(body, rest):
    assert split_header(body) == ({"a": Given(text="1")}, rest)


def test_lines_that_end_as_on_windows_are_read():
    inputs, _ = split_header("---\r\na: one\r\n  two\r\nb := [1]\r\nc:\r\n---\r\nx")

    assert inputs == {
        "a": Given(text="one\ntwo"),
        "b": Given(text="[1]", kind="json"),
        "c": Given(text=""),
    }


@settings(deadline=None)
@given(st.text())
def test_any_body_is_split_or_refused_as_a_cell_error(text):
    for body in (text, f"---\n{text}\n---\n{text}"):
        with suppress(CellError):
            split_header(body)


def test_a_header_block_may_follow_blank_lines():
    assert split_header("\n\n---\na: 1\n---\nhi") == ({"a": Given(text="1")}, "hi")


def test_a_header_block_without_its_end_is_told():
    with pytest.raises(CellError, match="not closed"):
        split_header("---\nseed: 5\nno end")


def test_yamls_mark_for_the_lines_below_is_no_text():
    inputs, _ = split_header("---\nsystem_prompt: |\n  a\n  b\n---\n")
    assert inputs == {"system_prompt": Given(text="a\nb")}


def test_words_are_kept_as_they_were_written_too():
    line = parse_line("""a/b It's Anna's "birthday" today""")
    assert " ".join(line.written) == """a/b It's Anna's "birthday" today"""


def test_a_backslash_before_a_letter_stands_for_itself():
    assert inputs_of(r"image=@C:\new\x.png") == {"image": ("file", r"C:\new\x.png")}


@pytest.mark.parametrize("text", ['prompt="@ada hello"', r"prompt=\@ada", "prompt='@ada'"])
def test_an_at_sign_in_quotes_names_no_file(text):
    [(kind, value)] = inputs_of(text).values()
    assert (kind, value.split()[0]) == ("text", "@ada")


def test_a_path_with_blanks_is_quoted_behind_the_at_sign():
    assert inputs_of('image=@"my file.png"') == {"image": ("file", "my file.png")}


def test_an_at_sign_in_quotes_in_a_header_names_no_file():
    inputs, _ = split_header('---\na: "@ada"\nb: @x.png\n---\n')
    assert inputs == {"a": Given(text="@ada"), "b": Given(text="x.png", kind="file")}
