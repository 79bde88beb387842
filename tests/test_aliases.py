"""Short names for models: kept in a file of the home, and used wherever a model is named."""

from __future__ import annotations

import json

import pytest
from replicate_server import Replicate

import replicate_magic as rm
from replicate_magic import aliases, session, settings
from replicate_magic.errors import CellError


@pytest.fixture(autouse=True)
def _own_home(home):
    yield home
    settings.reset()


def test_an_alias_is_kept_for_the_next_kernel(home):
    assert rm.alias() == {}
    assert rm.alias(llama="meta/llama-3", sketch="acme/sketch:abc") == {
        "llama": "meta/llama-3",
        "sketch": "acme/sketch:abc",
    }
    assert rm.alias(llama=None) == {"sketch": "acme/sketch:abc"}

    assert json.loads((home / "aliases.json").read_text()) == {"sketch": "acme/sketch:abc"}
    assert rm.alias() == {"sketch": "acme/sketch:abc"}


def test_several_change_at_once_or_none():
    rm.alias(a="acme/one")
    with pytest.raises(CellError, match="There is no alias b"):
        rm.alias(c="acme/two", b=None)
    with pytest.raises(CellError, match="nonsense is not a model"):
        rm.alias(c="acme/two", d="nonsense")

    assert rm.alias(a=None, c="acme/two") == {"c": "acme/two"}


@pytest.mark.parametrize("name", ["a/b", "1a", "-a", "a b", "", "é/x", "a:b", "a="])
def test_a_name_has_no_slash_and_can_be_written_on_a_line(name):
    with pytest.raises(CellError, match="is no name for a model"):
        rm.alias(**{name: "acme/poet"})


@pytest.mark.parametrize("model", ["llama", "a b/c", "", "{{x}}"])
def test_what_it_stands_for_is_a_model_and_no_other_alias(model):
    rm.alias(llama="meta/llama-3")
    with pytest.raises(CellError, match=r"not a model|variable is written"):
        rm.alias(other=model)


@pytest.mark.parametrize(
    "model",
    ["meta/x", "meta/x:abc", "deployment:acme/prod", "local/x", "http://localhost:5000"],
)
def test_any_kind_of_model_has_an_alias(model):
    rm.alias(short=model)

    assert str(aliases.read_model("short")) == model


def test_what_is_configured_goes_before_and_is_changed_there():
    rm.alias(llama="meta/kept")
    settings.the_settings().aliases = {"llama": "meta/configured"}

    assert aliases.known() == {"llama": "meta/configured"}
    assert str(aliases.read_model("llama")) == "meta/configured"
    for change in ({"llama": "meta/new"}, {"llama": None}):
        with pytest.raises(CellError, match=r"set by %config ReplicateMagics\.aliases"):
            rm.alias(**change)


def test_a_model_with_a_slash_is_never_an_alias(home):
    home.mkdir()
    (home / "aliases.json").write_text('{"acme/poet": "evil/poet"}')

    assert str(aliases.read_model("acme/poet")) == "acme/poet"


def test_a_misspelt_alias_is_told_the_nearest():
    rm.alias(llama="meta/llama-3")
    with pytest.raises(CellError, match=r"lama is not a model.* Did you mean llama\?"):
        aliases.read_model("lama")


@pytest.mark.parametrize("damage", ["{", "[]", '{"llama": 3}', "null"])
def test_a_damaged_file_is_as_none_and_is_written_anew(home, damage):
    home.mkdir()
    (home / "aliases.json").write_text(damage)

    assert rm.alias() == {}
    assert rm.alias(llama="meta/llama-3") == {"llama": "meta/llama-3"}


def test_a_file_that_cannot_be_written_is_told(home):
    (home / "aliases.json").mkdir(parents=True)
    with pytest.raises(CellError, match="The aliases cannot be kept"):
        rm.alias(llama="meta/llama-3")


def test_the_functions_take_an_alias_and_history_has_the_model(monkeypatch):
    rm.alias(poet="acme/poet")
    with Replicate() as server:
        monkeypatch.setenv("REPLICATE_BASE_URL", server.url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", server.token)
        ran = rm.run("poet", prompt="hi")
        begun = rm.start("poet", prompt="hi").wait()
        many = rm.batch(["poet", "acme/sketch"], prompt="hi")
        told = rm.info("poet")
        session.close()

    assert (ran.model, begun.model, told.name) == ("acme/poet",) * 3
    assert many["model"].tolist() == ["acme/poet", "acme/sketch"]
    assert set(rm.runs(model="poet")["model"]) == {"acme/poet"}
    assert len(rm.runs(model="poet")) == 3
