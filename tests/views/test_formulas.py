"""Pages typeset what stands between two dollar signs, with commands that fetch: nothing of ours."""

from __future__ import annotations

import pandas as pd
import pytest
from pages import IGNORED, TYPESET

from replicate_magic.call_code import Code
from replicate_magic.views.call_code import code_bundle
from replicate_magic.views.explore import Findings, static_bundle
from replicate_magic.views.listed import listed_bundle
from replicate_magic.views.values import bytes_bundle, json_bundle, text_bundle

FETCHING = r"$\unicode[x;background:url(https://evil.example/)]{1}$"


def empty_list(asked):
    frame = pd.DataFrame()
    frame.attrs["listed"] = asked
    return frame


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(
            lambda: static_bundle(
                Findings(number=0, columns=(FETCHING,), rows=(("a", (FETCHING,)),), matched=1)
            ),
            id="what an explorer leaves",
        ),
        pytest.param(lambda: json_bundle([FETCHING, "x" * 5000] * 40), id="a tree"),
        pytest.param(
            lambda: json_bundle({"token": FETCHING}, frozenset({"token"})), id="an object"
        ),
        pytest.param(lambda: text_bundle(f"# A model\n\n{FETCHING}"), id="a README"),
        pytest.param(lambda: bytes_bundle(b"", FETCHING), id="bytes"),
        pytest.param(
            lambda: code_bundle(Code(curl="", python="", cell="", notes=(FETCHING,))), id="code"
        ),
        pytest.param(lambda: listed_bundle(empty_list(FETCHING)), id="an empty list"),
    ],
)
def test_no_formula_of_somebody_elses_is_typeset(bundle):
    markup = bundle()["text/html"]

    assert markup.startswith(f'<div class="{IGNORED}"')
    assert TYPESET not in markup


def test_a_readme_may_have_formulas_that_only_say_something():
    assert TYPESET in text_bundle("It is $x^2$.")["text/html"]
