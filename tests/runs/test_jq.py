from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.errors import JqError
from replicate_magic.runs import jq, jq_process

ROOT = Path(jq.__file__).parents[2]
LOOP = "last(repeat(1))"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def message_of(program, document="null", **options):
    with pytest.raises(JqError) as caught:
        jq.outputs(program, document, **options)
    return str(caught.value)


def outcome_of(program):
    try:
        return repr(jq.outputs(program, "null"))
    except JqError as error:
        return str(error)


def assert_jq_works():
    assert jq.outputs(".a + 1", '{"a": 1}') == [2]


def eventually(condition, *, within_s=5.0):
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_busy(pid):
    return psutil.Process(pid).cpu_times().user > 0.2


def helper_pid():
    return jq_process._IDLE[-1].pid


# What comes back


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (".a", [[1, None, "x"]]),
        (".a[]", [1, None, "x"]),
        ("empty", []),
        (".a[] | select(. == 1)", [1]),
        ("{n: (.a | length)}", [{"n": 3}]),
        (".missing", [None]),
        (". # a comment", [{"a": [1, None, "x"]}]),
        (".a[0] # one that goes on \\", [1]),
        (".a[0] # one that ends \\\\", [1]),
        ("def f: .a[0]; f", [1]),
        ("$__loc__.line", [1]),
    ],
)
def test_all_outputs_come_back_in_order(program, expected):
    assert jq.outputs(program, '{"a": [1, null, "x"]}') == expected


def test_large_integers_are_exact_where_the_program_leaves_them_alone():
    n = 2**63 + 1
    assert jq.outputs(".[]", f"[{n}, {2**53 + 1}]") == [n, 2**53 + 1]


def test_values_that_json_lacks_come_back_as_jq_writes_them():
    assert jq.outputs("nan, infinite", "null") == [None, sys.float_info.max]
    assert jq.outputs(".", "NaN") == [None]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('"\ud800"', "\ufffd"),
        (r'"\ud800"', "\ufffd"),
        (r'"\ud83d\ude00 \ude00"', "\U0001f600 \ufffd"),
        (r'"\\ud800 \ud800"', "\\ud800 \ufffd"),
    ],
)
def test_half_a_surrogate_pair_in_a_document_is_replaced(document, expected):
    assert jq.outputs(".", document) == [expected]


@given(json_values)
@settings(max_examples=100, deadline=None)
def test_the_identity_gives_what_python_reads(value):
    text = json.dumps(value)
    assert jq.outputs(".", text) == [json.loads(text)]


def test_a_large_document_passes_both_pipes():
    value = ["x" * 1000] * 5000
    assert jq.outputs(".", json.dumps(value)) == [value]


# Arguments


def test_args_are_bound_by_name():
    values = {"x": 2**60 + 1, "other": {"a": ["ü"]}}
    assert jq.outputs("$x, $other.a[0], .", "3", args=values) == [2**60 + 1, "ü", 3]


def test_a_program_is_compiled_again_for_other_args():
    assert [jq.outputs("$x", "null", args={"x": n}) for n in (1, 2)] == [[1], [2]]


@pytest.mark.parametrize("name", ["", "a b", "1a", "x as $y | $y", "ENV", "__loc__", "__prog_args"])
def test_a_name_that_jq_has_no_place_for_is_refused(name):
    assert f"`{name}`" in message_of(".", args={name: 1})


@pytest.mark.parametrize("value", [{1, 2}, b"x", math.nan, "\ud800"])
def test_a_value_that_json_cannot_hold_is_refused(value):
    assert "only values that JSON can hold" in message_of("$x", args={"x": value})


# Mistakes


def test_a_compile_error_has_a_caret_under_the_mistake():
    assert message_of("select(.a == ") == (
        "jq: syntax error, unexpected end of file (line 1, column 13)\n"
        "    select(.a == \n"
        "                ^"
    )


def test_each_unknown_name_is_pointed_at_in_its_line():
    assert message_of("foo |\n bar") == (
        "jq: foo/0 is not defined (line 1, column 1)\n"
        "    foo |\n"
        "    ^^^\n"
        "jq: bar/0 is not defined (line 2, column 2)\n"
        "     bar\n"
        "     ^^^"
    )


@pytest.mark.parametrize("program", ["", " ", "# only a comment", "def f: 1;"])
def test_a_program_without_an_expression_is_refused(program):
    assert message_of(program).startswith("jq: ")


@pytest.mark.parametrize("program", ["1\0", "\ud800"])
def test_a_program_that_is_no_text_is_refused(program):
    assert "the jq program" in message_of(program)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (".[0].a", "jq: Cannot index number with"),
        ('error("mine")', "jq: mine"),
        ("error({a: 1})", 'jq: {"a":1} (not a string)'),
        ("error(null)", "jq: null (not a string)"),
        ('error({"__jq": 0})', "(not a string)"),
        (".[0], error", "(not a string)"),
    ],
)
def test_a_runtime_error_has_the_words_of_jq_and_names_the_program(program, told):
    message = message_of(program, "[1]")
    assert told in message
    assert message.endswith(f"\n    {program}")


@pytest.mark.parametrize("document", ["", "1 2", "[1", '{"a": 1} x', "nan1", "[" * 20_000])
def test_a_document_that_is_not_one_json_text_is_an_error(document):
    message_of(".", document)
    assert_jq_works()


def test_outputs_nested_deeper_than_python_reads_are_an_error():
    assert "nested too deeply" in message_of(".", "[" * 9000 + "]" * 9000)


def test_a_number_longer_than_python_reads_is_an_error():
    assert "a number in it is too long" in message_of(".", "1" * 5000)


def test_without_the_library_the_error_says_what_to_install():
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "from replicate_magic.runs import jq\n"
        "jq.outputs('.', '1')"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "JqError" in done.stderr
    assert "pip install jq" in done.stderr


# What a program must not do


@pytest.mark.parametrize(
    "name", ["env", "input", "inputs", "halt", "halt_error", "halt_error(3)", '"x" | modulemeta']
)
def test_what_is_not_available_says_so(name):
    word = name.split("(")[0].split()[-1]
    assert f"`{word}` is not available in jq programs here" in message_of(name)


@pytest.mark.parametrize(
    "program",
    [
        "$ENV",
        "{$ENV}",
        ".a | $ENV.REPLICATE_API_TOKEN",
        r'"\($ENV | keys)"',
        r'"a \(1 + (2)) # \"" + $ENV.X',
        "# a comment \\\n that goes on\n$ENV",
        "$ENV as $x | 1",
    ],
)
def test_the_environment_variable_is_pointed_at(program):
    message = message_of(program)
    assert "`$ENV` is not available in jq programs here" in message
    line, caret = message.splitlines()[1:]
    assert line[caret.index("^") :].startswith("$ENV")


@pytest.mark.parametrize(
    "program",
    [
        'import "config" as $c {search: "~/.docker"}; $c',
        'include "x"; .',
        "module {}; .",
        '# why\n  import "x" as x; .',
    ],
)
def test_modules_are_refused_before_a_file_is_read(program):
    assert "is not available in jq programs here" in message_of(program)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ('"$ENV"', "$ENV"),
        ("1 # $ENV", 1),
        ("{import: 1} | .import", 1),
        ("{env: 1} | .env", 1),
        ("def input: 1; input", 1),
        ("1 as $ENVIRONMENT | $ENVIRONMENT", 1),
        (r'"\"\(1)$ENV"', '"1$ENV'),
    ],
)
def test_the_same_words_elsewhere_mean_what_they_mean_in_jq(program, expected):
    assert jq.outputs(program, "null") == [expected]


@pytest.mark.parametrize(
    "program",
    [
        "[env, $ENV]",
        "env | tojson",
        '"\\(env)"',
        "1)] | tojson) catch .), (env | tojson), (try ([(1",
        "1)] | tojson) catch (env | tojson) #",
        "1) | env | (.",
        "env) # ",
        ".]), env, ([.",
        '"x" | @sh, env',
        "try error(env) catch env",
        "def tojson: env; .",
        "builtins, env",
        "getpath([]) | env",
        "reduce env as $x (0; $x)",
        ". as {a: $x} | $x, env.REPLICATE_API_TOKEN",
        "input_filename, get_search_list, env",
        "path(env)",
        "label $out | env, break $out",
        '@text "\\(env)"',
        "limit(1; env)",
    ],
)
def test_no_program_reaches_the_token(program, monkeypatch):
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_made_up")
    jq.close()
    assert "r8_made_up" not in outcome_of(program)


@posix_only
def test_the_helper_has_nothing_to_leak(monkeypatch):
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_made_up")
    jq.close()
    assert_jq_works()
    environment = psutil.Process(helper_pid()).environ()
    assert set(environment) <= {"HOME", "LC_CTYPE"}
    assert os.getsid(helper_pid()) == helper_pid()


# Faults, deadlines, interrupts


def test_a_loop_is_stopped_at_the_deadline_and_the_next_program_runs():
    assert message_of(LOOP, deadline_s=0.3) == (
        "the jq program `last(repeat(1))` ran longer than 0.3 s and was stopped"
    )
    assert_jq_works()


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("program", ["[] | .[1e8] = 1", '"x" | until(false; . + .)'])
def test_a_program_that_takes_all_memory_ends_its_helper_alone(program):
    assert "more than 2 GiB of memory" in message_of(program)
    assert_jq_works()


def test_deep_values_that_overflow_the_stack_of_the_binding_are_an_error():
    assert "nested too deeply" in message_of("reduce range(100000) as $i (0; [.])")
    assert_jq_works()


@pytest.mark.parametrize("program", ["(" * 20_000 + ")" * 20_000, '"x" * 1e12', '("a" * 50) * 1e9'])
def test_programs_out_of_all_proportion_are_errors(program):
    message_of(program)
    assert_jq_works()


@pytest.mark.slow
def test_outputs_too_large_for_the_kernel_are_refused():
    assert "longer than 64,000,000 characters" in message_of(
        '("x" * 6.5e6) | [., ., ., ., ., ., ., ., ., .]'
    )


def test_a_helper_that_was_killed_is_replaced():
    assert_jq_works()
    killed = psutil.Process(helper_pid())
    killed.kill()
    eventually(lambda: is_gone(killed.pid))
    assert_jq_works()


def test_the_helper_is_kept_between_programs_and_after_ordinary_errors():
    assert_jq_works()
    pid = helper_pid()
    message_of("select(")
    message_of("error")
    assert_jq_works()
    assert helper_pid() == pid


def test_threads_get_their_own_answers():
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda n: jq.outputs(". + 1", str(n)), range(200))
    assert list(results) == [[n + 1] for n in range(200)]


@posix_only
def test_an_interrupt_ends_the_loop_and_the_next_program_runs(script):
    process = script(f"""
        from replicate_magic.runs import jq, jq_process
        jq.outputs(".", "1")
        print(jq_process._IDLE[-1].pid, flush=True)
        try:
            jq.outputs({LOOP!r}, "null", deadline_s=60)
        except KeyboardInterrupt:
            print("interrupted", jq.outputs(".", "[2]"), flush=True)
    """)
    pid = int(process.stdout.readline())
    eventually(lambda: is_busy(pid))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted [[2]]\n"
    eventually(lambda: is_gone(pid))


@posix_only
def test_the_helper_ends_with_a_killed_parent(script):
    process = script("""
        import signal
        from replicate_magic.runs import jq, jq_process
        jq.outputs(".", "1")
        print(jq_process._IDLE[-1].pid, flush=True)
        signal.pause()
    """)
    pid = int(process.stdout.readline())
    process.kill()
    eventually(lambda: is_gone(pid))


@pytest.mark.slow
@posix_only
def test_a_looping_helper_ends_soon_after_a_killed_parent(script):
    process = script(f"""
        from replicate_magic.runs import jq, jq_process
        jq.outputs(".", "1")
        print(jq_process._IDLE[-1].pid, flush=True)
        jq.outputs({LOOP!r}, "null", deadline_s=0.8)
    """)
    pid = int(process.stdout.readline())
    eventually(lambda: is_busy(pid))
    process.kill()
    eventually(lambda: is_gone(pid))


@posix_only
def test_after_a_fork_each_process_has_its_own_helper(script):
    process = script("""
        import os
        from replicate_magic.runs import jq, jq_process
        jq.outputs(".", "1")
        first = jq_process._IDLE[-1].pid
        child = os.fork()
        for n in range(100):
            assert jq.outputs(". + 1", str(n)) == [n + 1]
        assert (jq_process._IDLE[-1].pid == first) == (child != 0)
        if child == 0:
            jq.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(jq.outputs(".", "1"), flush=True)
    """)
    assert process.stdout.readline() == "[1]\n"


def test_close_leaves_no_process_and_may_be_called_again():
    assert_jq_works()
    pid = helper_pid()
    jq.close()
    jq.close()
    assert is_gone(pid)
    assert_jq_works()


def test_importing_the_module_starts_nothing_and_loads_no_jq(script):
    process = script("""
        from replicate_magic.runs import jq, jq_process
        print("jq" in sys.modules, list(jq_process._IDLE), flush=True)
    """)
    assert process.stdout.readline() == "False []\n"
