"""How soon threads of the process get their turn."""

import sys

import pytest

from replicate_magic.turns import TURN_S, quick_turns


def test_turns_are_short_while_anything_wants_it_and_then_as_they_were():
    usual_s = sys.getswitchinterval()
    with quick_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
        with quick_turns():
            pass
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    assert sys.getswitchinterval() == usual_s


@pytest.fixture
def _own_turns():
    usual_s = sys.getswitchinterval()
    yield
    sys.setswitchinterval(usual_s)


@pytest.mark.usefixtures("_own_turns")
def test_turns_that_somebody_else_has_set_are_left_alone():
    sys.setswitchinterval(0.0001)
    with quick_turns():
        assert sys.getswitchinterval() == pytest.approx(0.0001)  # shorter already
    assert sys.getswitchinterval() == pytest.approx(0.0001)
    sys.setswitchinterval(0.01)
    with quick_turns():
        sys.setswitchinterval(0.02)
    assert sys.getswitchinterval() == pytest.approx(0.02)
    with quick_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    assert sys.getswitchinterval() == pytest.approx(0.02)
