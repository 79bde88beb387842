"""The embedded engine, killed in the middle of a run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest
from promises import row_of

import replicate_magic as rm
from replicate_magic import session

pytestmark = [pytest.mark.slow, pytest.mark.model]

MODEL = "local/smollm2-135m-instruct"


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """A home without history, with the weights that the others have."""
    models = Path(os.environ["REPLICATE_MAGIC_HOME"], "models").resolve()
    tmp_path.joinpath("models").symlink_to(models, target_is_directory=True)
    monkeypatch.setenv("REPLICATE_MAGIC_HOME", str(tmp_path))
    yield tmp_path
    session.close()


def engines():
    """The engines that this process has started."""
    children = psutil.Process().children()
    return {one for one in children if "replicate_magic.local" in " ".join(one.cmdline())}


def test_an_engine_that_is_killed_is_told_its_run_is_kept_and_the_next_one_works(own_home):
    others = engines()
    job = rm.start(MODEL, prompt="Count to a thousand.", max_tokens=500)
    until(lambda: job.prediction.text)
    [engine] = engines() - others
    engine.kill()
    killed_s = time.monotonic()
    with pytest.raises(rm.EngineUnavailable, match="killed, or ran out of memory") as caught:
        job.wait(20)
    assert time.monotonic() - killed_s < 10
    assert MODEL in str(caught.value)
    assert caught.value.prediction.id
    assert row_of(own_home, caught.value.prediction.id)
    assert rm.run(MODEL, prompt="Hi.", max_tokens=3).ok


def until(condition, within_s=40):
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)
