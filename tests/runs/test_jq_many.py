from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import psutil
import pytest
from bench.jq_filter import built_cli
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.errors import JqError
from replicate_magic.runs import jq, jq_process

ROOT = Path(jq.__file__).parents[2]
LOOP = "last(repeat(1))"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@pytest.fixture(scope="session")
def cli():
    """Runs the jq command line that belongs to the installed library: its exit code and outputs."""
    try:
        path = built_cli()
    except RuntimeError as error:
        if os.environ.get("REPLICATE_MAGIC_REQUIRE_JQ_CLI") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))

    def run(program, documents, *options):
        done = subprocess.run(
            [path, "-c", *options, program],
            input="\n".join(documents),
            capture_output=True,
            text=True,
            env={"HOME": "/nonexistent"},
            check=False,
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return run


def numbers(n):
    return [json.dumps({"n": i}) for i in range(n)]


def message_of(call, *args, **options):
    with pytest.raises(JqError) as caught:
        call(*args, **options)
    return str(caught.value)


def assert_nothing_is_left_over():
    """The next calls get their own answers, several in a row."""
    for n in range(3):
        assert jq.outputs(".", f'"fresh {n}"') == [f"fresh {n}"]
    assert jq.matches(".n > 1", numbers(3)).flags == [False, False, True]
    assert jq.mapped(".n", numbers(3)).outputs == [[0], [1], [2]]


def children():
    """The helpers; the embedded engine of other tests is a child too."""
    return [one for one in psutil.Process().children() if is_helper(one)]


def is_helper(process):
    try:
        return any("jq_worker" in word for word in process.cmdline())
    except psutil.Error:  # it has just ended
        return False


def eventually(condition, *, within_s=5.0):
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


# What comes back


@pytest.mark.parametrize(
    ("program", "flags"),
    [
        (".n > 0", [False, True, True]),
        ("select(.n > 0)", [False, True, True]),
        (".n", [True, True, True]),
        ("empty", [False, False, False]),
        ("null, false", [False, False, False]),
        ("false, .n == 1", [False, True, False]),
        (".n == 1, error", None),
        ("true, error", [True, True, True]),
        ("true, last(repeat(1))", [True, True, True]),
        ("null", [False, False, False]),
        ("0", [True, True, True]),
        ('""', [True, True, True]),
        (".n == 2 # why", [False, False, True]),
        ("def f: .n == 2; f", [False, False, True]),
        ("$__loc__.line == 1", [True, True, True]),
        ("first(.n == 2)", [False, False, True]),
        ("label $out | .n == 2, break $out", [False, False, True]),
    ],
)
def test_a_document_is_kept_for_any_output_that_is_true(program, flags):
    if flags is None:
        assert "row 0" in message_of(jq.matches, program, numbers(3))
    else:
        assert jq.matches(program, numbers(3)).flags == flags


@pytest.mark.parametrize("name", ["document", "outputs", "d"])
def test_the_wrapper_shows_the_program_none_of_its_own_names(name):
    assert "is not defined" in message_of(jq.matches, f"${name}", ["1"])
    assert jq.matches(f"${name} == 5", ["1"], args={name: 5}).flags == [True]


@pytest.mark.parametrize("program", ["kind(1)", "1) | kind((1)", "1)) | env, ((1"])
def test_the_wrapper_is_not_reached(program):
    message_of(jq.matches, program, ["1"])
    assert_nothing_is_left_over()


@pytest.mark.parametrize("call", [jq.matches, jq.mapped, jq.together])
@pytest.mark.parametrize(
    "program", ["env", "$ENV", "input", "inputs", "halt", 'import "a" as a; .', "halt_error"]
)
def test_what_is_not_available_says_so_everywhere(call, program):
    assert "is not available in jq programs here" in message_of(call, program, ["1", "2"])


@pytest.mark.parametrize(
    ("program", "documents", "suggested"),
    [
        (".n", numbers(3), True),
        ('"\\(.n)"', numbers(3), True),
        ("{n}, 1", ['{"n": 1, "m": 2}'], True),
        ("{n}", numbers(3), False),
        (".n > -1", numbers(3), False),
        ("select(.n > -1)", numbers(3), False),
        ("select(.n > 0) | .n", numbers(3), False),
        (".n, true", numbers(3), True),
        (".", ["true"], False),
        (".n", [], False),
        ("if .n == 0 then true else .n end", numbers(3), False),
    ],
)
def test_a_map_is_suggested_where_all_is_kept_for_other_values(program, documents, suggested):
    assert jq.matches(program, documents).suggests_map is suggested


def test_all_outputs_of_each_document_come_back():
    documents = ['{"a": [1, 2]}', '{"a": []}', '{"a": [9007199254740993]}']
    assert jq.mapped(".a[]", documents).outputs == [[1, 2], [], [9007199254740993]]


def test_together_is_one_array():
    assert jq.together("length, map(.n)", numbers(3)) == [3, [0, 1, 2]]
    assert jq.together(".", []) == [[]]
    assert jq.together(".[]", ["9007199254740993", "\n 2 \n"]) == [9007199254740993, 2]


def test_args_are_bound_for_many():
    assert jq.matches(".n == $x", numbers(3), args={"x": 1}).flags == [False, True, False]
    assert jq.together("map(.n + $x)", numbers(2), args={"x": 1}) == [[1, 2]]


def test_no_documents_give_nothing_and_a_mistake_is_still_told():
    assert jq.matches(".a", []).flags == []
    assert jq.mapped(".a", iter([])).outputs == []
    assert "syntax error" in message_of(jq.matches, "select(", [])


@pytest.mark.parametrize(
    "document",
    ['"é😀"', '"line\\nbreak"', ' {"a":\n 1}\n', '"\ud800"', '"😀 \ud800"', "NaN", '"\\u0000"'],
)
def test_framing_survives_any_text(document):
    documents = ["1", document, '"é"', document, "2"]
    alone = jq.outputs(".", document)
    assert jq.mapped(".", documents).outputs == [[1], alone, ["é"], alone, [2]]
    assert jq.together(".[]", documents) == [1, *alone, "é", *alone, 2]


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=20))
@settings(max_examples=50, deadline=None)
def test_texts_come_back_each_in_its_place(texts):
    documents = [json.dumps(text, ensure_ascii=False) for text in texts]
    assert jq.mapped(".", documents).outputs == [[text] for text in texts]


def test_documents_are_consumed_as_they_are_needed():
    taken = count()

    def documents():
        for n in range(5000):
            next(taken)
            yield "error" if n == 600 else "1"

    message_of(jq.matches, ".", documents())
    assert next(taken) < 4000


def test_many_documents_come_back_in_order_from_two_helpers():
    n = 30_000
    flags = jq.matches(".n % 3 == 0", iter(numbers(n))).flags
    assert flags == [i % 3 == 0 for i in range(n)]
    assert jq.mapped(".n", iter(numbers(n))).outputs == [[i] for i in range(n)]
    assert len(jq_process._IDLE) == jq_process._MOST


def test_a_slow_chunk_does_not_change_the_order():
    program = "if .n % 2500 == 7 then last(range(300000)) else . end | .n? // -1"
    documents = numbers(6000)
    expected = [[-1] if i % 2500 == 7 else [i] for i in range(6000)]
    assert jq.mapped(program, documents).outputs == expected


def test_few_documents_start_one_helper():
    jq.close()
    jq.matches(".", numbers(1000))
    assert len(jq_process._IDLE) == 1


def test_a_large_document_is_a_chunk_of_its_own():
    big = json.dumps(["x" * 1000] * 3000)
    assert jq.mapped("length", ["[1]", big, big, "[]"]).outputs == [[1], [3000], [3000], [0]]


# Rows that fail


def test_a_failing_row_is_named_with_the_program():
    documents = [*numbers(700), '{"n": "x"}', *numbers(10), '{"n": []}']
    message = message_of(jq.matches, ".n - 1 > 2", documents, names="prediction p{}".format)
    assert message == (
        'jq: string ("x") and number (1) cannot be subtracted (prediction p700); '
        "1 more of the first 712 fail\n    .n - 1 > 2"
    )
    assert_nothing_is_left_over()


def test_skipped_rows_are_counted_and_not_kept():
    documents = ['{"n": 5}', '{"n": "x"}', "not JSON", "1 2", "", '{"n": 6}']
    matches = jq.matches(".n - 1 > 2", documents, skip_errors=True)
    assert matches.flags == [True, False, False, False, False, True]
    assert matches.skipped == 4
    assert matches.first_error.endswith("(row 1)")
    mapped = jq.mapped(".n - 1", documents, skip_errors=True)
    assert mapped.outputs == [[4], [], [], [], [], [5]]
    assert mapped.skipped == 4


@pytest.mark.parametrize("call", [jq.matches, jq.mapped])
@pytest.mark.parametrize("program", ['error("")', "error(null)", "error({a: 1})", ".[0]"])
def test_every_kind_of_error_is_one(call, program):
    assert call(program, ["{}", "{}"], skip_errors=True).skipped == 2
    assert "row 0" in message_of(call, program, ["{}", "{}"])


@pytest.mark.parametrize("bad", ["", "1 2", "1, 2", "[1", "]", '{"a": 1} x'])
def test_together_names_the_document_that_is_no_json(bad):
    assert "(row 2)" in message_of(jq.together, "length", ["1", "2", bad, "3"])


def test_together_tells_what_the_program_failed_with():
    assert message_of(jq.together, 'error("a: b")', ["1"]) == 'jq: a: b\n    error("a: b")'


@pytest.mark.slow
def test_outputs_too_large_for_the_kernel_are_refused_over_a_chunk():
    message = message_of(jq.mapped, '"x" * 2e6', ["1"] * 40)
    assert "longer than 64,000,000 characters" in message
    assert "(row 3" in message


UNREADABLE = ["[" * 9000 + "]" * 9000, "1" * 5000]


@pytest.mark.parametrize("unreadable", UNREADABLE, ids=["deep", "long"])
def test_outputs_that_python_cannot_read_name_their_row(unreadable):
    documents = [*numbers(700), unreadable, "2", unreadable]
    message = message_of(jq.mapped, ".", documents, names="prediction p{}".format)
    assert message == (
        "jq: an output is nested too deeply, or a number in it is too long, for Python to read "
        "(prediction p700); 1 more of the first 703 fail\n    ."
    )


@pytest.mark.parametrize("unreadable", UNREADABLE, ids=["deep", "long"])
def test_outputs_that_python_cannot_read_are_skipped(unreadable):
    mapped = jq.mapped(".", ["1", unreadable, "2", unreadable], skip_errors=True)
    assert mapped.outputs == [[1], [], [2], []]
    assert mapped.skipped == 2
    assert "for Python to read (row 1)" in mapped.first_error


@pytest.mark.parametrize(
    ("documents", "told"),
    [
        (["1", "not JSON", UNREADABLE[1]], "parse error"),
        (["1", UNREADABLE[1], "not JSON"], "for Python to read"),
    ],
)
def test_the_first_of_all_errors_is_told(documents, told):
    mapped = jq.mapped(".", documents, skip_errors=True)
    assert told in mapped.first_error
    assert "(row 1)" in mapped.first_error
    assert mapped.skipped == 2
    assert "1 more of the first 3 fail" in message_of(jq.mapped, ".", documents)


# Loops, memory, interrupts, deaths


def test_a_loop_in_one_row_ends_and_says_where():
    program = f"if .n == 700 then {LOOP} else true end"
    message = message_of(jq.matches, program, numbers(1000), deadline_s=0.5)
    assert "ran longer than 0.5 s on one of row 500 to row 999 and was stopped" in message
    assert_nothing_is_left_over()


@pytest.mark.slow
def test_an_honest_job_may_last_longer_than_one_document_may():
    began = time.monotonic()
    slow = "last(range(400000)) > 0"
    assert all(jq.matches(slow, ["1"] * 60, deadline_s=1.5).flags)
    if time.monotonic() - began < 1.5:
        pytest.skip("this machine is too fast for the test to tell anything")


@posix_only
def test_a_row_that_takes_all_memory_ends_its_helper_alone():
    program = "if .n == 700 then [] | .[1e8] = 1 else true end"
    message = message_of(jq.matches, program, numbers(1000))
    assert "more than 2 GiB of memory" in message
    assert "row 500 to row 999" in message
    assert_nothing_is_left_over()


@pytest.mark.parametrize("after", [0, 300, 700, 5000])
def test_an_iterable_that_raises_midway_leaves_nothing_behind(after):
    def documents():
        yield from numbers(after)
        raise OSError("the disk is gone")

    for call in (jq.matches, jq.mapped):
        with pytest.raises(OSError, match="the disk is gone"):
            call(".n", documents())
        assert_nothing_is_left_over()


def test_documents_may_be_made_with_jq_themselves():
    made = (json.dumps(jq.outputs(". + 1", str(n))) for n in range(600))
    assert jq.mapped(".[0]", made).outputs == [[n + 1] for n in range(600)]


def test_threads_filter_at_the_same_time():
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(
            lambda k: jq.matches(f".n == {k}", numbers(3000)).flags.index(True), range(8)
        )
        assert list(results) == list(range(8))


@posix_only
def test_a_helper_killed_during_a_call_is_an_error_and_the_next_call_works():
    jq.close()

    def kill():
        eventually(lambda: any(child.cpu_times().user > 0.3 for child in children()))
        for child in children():
            child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    assert "jq broke down (SIGKILL)" in message_of(jq.matches, LOOP, numbers(100))
    killer.join()
    assert_nothing_is_left_over()


@posix_only
def test_an_interrupt_in_a_big_filter_leaves_no_process_and_no_answer(script):
    process = script("""
        import itertools
        import psutil
        from replicate_magic.runs import jq
        def documents():
            for n in itertools.count():
                if n == 10_000:
                    print("going", *[p.pid for p in psutil.Process().children()], flush=True)
                yield '{"n": %d}' % n
        try:
            jq.matches(".n >= 0", documents())
        except KeyboardInterrupt:
            print(jq.matches(".n > 1", ['{"n": 1}', '{"n": 2}']).flags, flush=True)
            jq.close()
            print(psutil.Process().children(), flush=True)
    """)
    helpers = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()[1:]]
    assert helpers
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "[False, True]\n"
    assert time.monotonic() - began < 3
    assert process.stdout.readline() == "[]\n"
    assert all(map(is_gone, helpers))


@posix_only
@pytest.mark.slow
def test_interrupts_at_any_moment_leave_no_answer_behind(script):
    process = script("""
        import signal
        from replicate_magic.runs import jq
        documents = ['{"n": %d}' % n for n in range(3000)]
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        stopped = 0
        for turn in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 * (turn + 1))
                jq.mapped(f"[{turn}, .n]", documents)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                stopped += 1
            assert jq.mapped(f"[-{turn}, .n]", documents[:600]).outputs == [
                [[-turn, n]] for n in range(600)
            ], turn
        print(stopped > 10, flush=True)
    """)
    assert process.stdout.readline() == "True\n"


@posix_only
def test_a_fork_in_the_middle_of_a_call_keeps_both_apart(script):
    process = script("""
        import os
        from replicate_magic.runs import jq
        def documents():
            for n in range(4000):
                if n == 2000:
                    child = os.fork()
                    if child == 0:
                        good = jq.mapped(".", map(str, range(1500))).outputs
                        jq.close()
                        os._exit(good != [[n] for n in range(1500)])
                    assert os.waitpid(child, 0)[1] == 0
                yield str(n)
        assert jq.mapped(". + 1", documents()).outputs == [[n + 1] for n in range(4000)]
        print("both", flush=True)
    """)
    assert process.stdout.readline() == "both\n"


# The command line's opinion

VALUES = [
    "null", "true", "false", "0", "-1", "2.5", "1e3", "9007199254740993", '""', '"a"', '"é😀"',
    "[]", "[1, 2]", '[null, "x"]', "{}", '{"a": null}', '{"a": 1}', '{"a": {"b": [1, false]}}',
    '{"status": "succeeded", "metrics": {"predict_time": 2.5}}',
    '{"status": "failed", "metrics": {}}',
    '{"status": "succeeded", "metrics": {"predict_time": "3"}}', '{"status": null}',
]  # fmt: skip
PROGRAMS = [
    ".", "empty", "null", "1, 2", ".a", ".a?", ".a.b", ".a.b[]?", ".[]?", ".[0]?", "length",
    "type", "keys?", "tojson", "tostring", "not", ". == null", ". < 2", ". > 2", ".a // 5",
    ".status?", 'select(.status? == "succeeded" and .metrics.predict_time > 2)',
    ".metrics?.predict_time? < 2", "[.[]?] | add", "try error(.) catch .", "error", "error(null)",
    "if . then 1 else empty end", "reduce .[]? as $x (0; . + 1)", "[limit(2; .[]?)]", "first(.[]?)",
    "def f(x): x * 2; f(length)", "try (.a | tonumber) catch null", 'has("a")?', "any",
    "to_entries?",
    "ascii_downcase?", 'test("a")?', "(1, null, .)", "label $f | 1, break $f, 2",
    "infinite | . > 1",
    "[paths]", "tojson | fromjson", '@base64 "\\(.)"', 'splits(",")?',
    ".a, .b", "{a, status}", ".a - 1", ".metrics | length", "[.a, .b]", '.a // "x" | . == "x"',
    "limit(0; error)", "(false, error)", "(true, error)", "ltrimstr(1)", "$__loc__",
    'getpath(["a"])?',
]  # fmt: skip


def agree(cli, program, documents):
    """Ours and the command line's, a document at a time."""
    for document in documents:
        code, printed = cli(program, [document])
        _, [flag] = cli(f"try any(({program}\n); .) catch {{e: 1}}", [document])
        for trusted in (False, True):
            mapped = jq.mapped(program, [document], skip_errors=True, trusted=trusted)
            assert bool(mapped.skipped) == (code != 0), (program, document, trusted)
            assert mapped.skipped or mapped.outputs == [printed], (program, document, trusted)
            matches = jq.matches(program, [document], skip_errors=True, trusted=trusted)
            assert (matches.flags == [True]) == (flag is True), (program, document, trusted)
            assert bool(matches.skipped) == isinstance(flag, dict), (program, document, trusted)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_table_of_programs_agrees_with_the_command_line(program, cli):
    agree(cli, program, VALUES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        ".",
        "length",
        "map(type)",
        "group_by(type) | map(length)",
        ".[]",
        "sort",
        "unique",
        "min, max",
    ],
)
def test_together_agrees_with_slurp(program, cli):
    code, printed = cli(program, VALUES, "--slurp")
    assert code == 0
    assert jq.together(program, VALUES) == printed


atoms = st.sampled_from(
    [".", ".a", ".a?", ".b?", ".[]?", ".[0]?", "1", "null", "true", "false", '"a"', "empty",
     "error", "length", "type", "not", "[.]", "{a: .}", "tojson", "keys?", "2.5", "(.a?, .b?)",
     "{a}", ".status", ".metrics.predict_time", '(.status == "succeeded")']
)  # fmt: skip
programs = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(
            inner, st.sampled_from(["|", ",", "==", "<", ">", "and", "or", "//", "+"]), inner
        ).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda p: f"select({p})"),
        inner.map(lambda p: f"[{p}]"),
        inner.map(lambda p: f"first({p})"),
        inner.map(lambda p: f"(try {p} catch .)"),
        st.tuples(inner, inner, inner).map(lambda p: f"(if {p[0]} then {p[1]} else {p[2]} end)"),
    ),
    max_leaves=6,
)


@pytest.mark.slow
@given(program=programs, documents=st.lists(st.sampled_from(VALUES), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_random_programs_agree_with_the_command_line(cli, program, documents):
    agree(cli, program, documents)
