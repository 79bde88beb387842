"""The seeds of requests that are repeated."""

from __future__ import annotations

import cog_schemas as cog
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.cell.grammar import Given, parse_line
from replicate_magic.cell.many import with_seed
from replicate_magic.cell.plan import Draft, plan, read_cell, read_target
from replicate_magic.cell.schema import Schema, read_schema
from replicate_magic.errors import InputError

TARGET = read_target("acme/a")
INTEGER = {"type": "integer"}
OPTIONAL = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


def schema_of(**inputs):
    return read_schema(cog.openapi(inputs))


NO_SEED = Draft(inputs={"n": 1})


def seeds(spec, draft=NO_SEED):
    schema = schema_of(n=INTEGER, seed=spec)
    return [with_seed(draft, schema, k).inputs.get("seed") for k in range(3)]


def given_in_a_cell(text):
    return read_cell(parse_line(text), None, eval)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (INTEGER, [1, 2, 3]),
        (OPTIONAL, [1, 2, 3]),
        ({**INTEGER, "default": 42}, [42, 43, 44]),
        ({**INTEGER, "default": 0}, [0, 1, 2]),
        ({**INTEGER, "default": -1}, [1, 2, 3]),
        ({**INTEGER, "default": -1, "minimum": -1}, [1, 2, 3]),
        ({**INTEGER, "default": True}, [1, 2, 3]),
        ({**INTEGER, "default": "7"}, [1, 2, 3]),
        ({**INTEGER, "minimum": 5}, [5, 6, 7]),
        ({**INTEGER, "minimum": -9}, [1, 2, 3]),
        ({**INTEGER, "exclusiveMinimum": 5}, [6, 7, 8]),
        ({**INTEGER, "minimum": 1, "maximum": 2}, [1, 2, 1]),
        ({**INTEGER, "maximum": 2}, [1, 2, 0]),
        ({**INTEGER, "minimum": -5, "maximum": 2}, [1, 2, 0]),
        ({**INTEGER, "exclusiveMaximum": 3, "default": 2}, [2, 0, 1]),
        ({"type": ["integer", "string"]}, [1, 2, 3]),
    ],
)
def test_each_repeat_has_the_next_seed(spec, found):
    assert seeds(spec) == found


@pytest.mark.parametrize(
    ("seed", "found"),
    [
        (7, [7, 8, 9]),
        (-3, [-3, -2, -1]),
        (7.0, [7, 8, 9]),
        (np.int64(7), [7, 8, 9]),
        (Given(text="7"), [7, 8, 9]),
        (Given(text=" 7 "), [7, 8, 9]),
        (Given(text="7", kind="json"), [7, 8, 9]),
        (2**63, [2**63, 2**63 + 1, 2**63 + 2]),
    ],
)
def test_it_is_counted_up_from_the_one_that_was_given(seed, found):
    assert seeds(INTEGER, Draft(inputs={"seed": seed})) == found
    assert all(type(one) is int for one in seeds(INTEGER, Draft(inputs={"seed": seed})))


@pytest.mark.parametrize(
    "inputs",
    [
        {"seed": Given(text="null")},
        {"seed": None},
        {"seed": Given(text="random")},
        {"seed": Given(text="[1", kind="json")},
        {"seed": Given(text="x.txt", kind="file")},
        {"seed": 1.5},
        {"seed": True},
        {"seed": "7"},
        {"seed": [7]},
        {"seed": 101},
        {"seed": -1},
        {"seed": object()},
    ],
)
def test_a_seed_that_is_none_stays_as_it_is(inputs):
    draft = Draft(inputs=inputs)
    schema = schema_of(seed={**OPTIONAL, "minimum": 0, "maximum": 100})

    assert with_seed(draft, schema, 2) is draft


@pytest.mark.parametrize(
    "schema",
    [
        Schema(),
        schema_of(n=INTEGER),
        schema_of(Seed=INTEGER),
        schema_of(seed={"type": "string"}),
        schema_of(seed={"type": "number"}),
        schema_of(seed={"type": "integer", "enum": [1, 2, 3]}),
        schema_of(seed={"type": "integer", "maximum": -5}),
        schema_of(seed={}),
    ],
)
def test_a_model_without_a_whole_seed_is_left_alone(schema):
    draft = Draft(inputs={"n": 1})

    assert with_seed(draft, schema, 1) is draft


def test_all_else_of_a_draft_stays():
    draft = Draft(inputs={"n": 1}, prompt="Hi", prompt_key="p", template="{{x}}", force=True)
    seeded = with_seed(draft, schema_of(seed=INTEGER), 4)

    assert seeded == Draft(
        inputs={"n": 1, "seed": 5}, prompt="Hi", prompt_key="p", template="{{x}}", force=True
    )
    assert draft.inputs == {"n": 1}


def test_a_seed_that_the_model_refuses_is_refused_as_ever():
    draft = with_seed(given_in_a_cell("seed=500"), schema_of(seed={**INTEGER, "maximum": 9}), 1)

    with pytest.raises(InputError, match="seed"):
        plan(TARGET, draft, schema_of(seed={**INTEGER, "maximum": 9}), lambda *_: b"")


@settings(deadline=None)
@given(
    bounds=st.lists(st.integers(-50, 50), min_size=2, max_size=2).map(sorted),
    first=st.none() | st.integers(-60, 60),
    default=st.none() | st.integers(-60, 60),
)
def test_seeds_are_taken_by_the_model_and_differ_as_long_as_they_can(bounds, first, default):
    least, most = bounds
    spec = {**INTEGER, "minimum": least, "maximum": most}
    if default is not None and least <= default <= most:
        spec["default"] = default
    draft = Draft(inputs={} if first is None else {"seed": first})
    schema = schema_of(seed=spec)

    found = [with_seed(draft, schema, k).inputs.get("seed") for k in range(10)]
    if first is not None and not least <= first <= most:
        assert found == [first] * 10
    elif found[0] is not None:
        assert all(least <= seed <= most for seed in found)
        room = most - max(least, min(found[0], 0)) + 1
        assert len(set(found[:room])) == min(room, 10)
