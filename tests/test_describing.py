"""Which answers make up what is known of a target."""

from __future__ import annotations

import asyncio

import pytest

from replicate_magic.api.models import Described
from replicate_magic.cell.plan import read_target
from replicate_magic.describing import info_of
from replicate_magic.errors import NotFound, ReplicateMagicError, Unauthorized

SCHEMA = {"components": {"schemas": {"Input": {"properties": {"prompt": {"type": "string"}}}}}}
POET = Described(
    openapi=SCHEMA,
    latest="new",
    raw={"description": "A poet.", "latest_version": {"id": "new", "openapi_schema": SCHEMA}},
)
RELEASE = {"model": "acme/poet", "version": "new", "configuration": {"hardware": "gpu-t4"}}
PROD = Described(raw={"current_release": RELEASE})


def told(target, **answers):
    known = {name.replace("__", ":").replace("_", "/"): one for name, one in answers.items()}

    async def ask(about):
        found = known[str(about)]
        if isinstance(found, ReplicateMagicError):
            raise found
        return found

    return asyncio.run(info_of(read_target(target), ask))


def test_a_model_runs_its_latest_version():
    info = told("acme/poet", acme_poet=POET)

    assert (info.version, info.model, info.description) == ("new", "acme/poet", "A poet.")


def test_a_version_has_its_own_inputs_and_its_models_words():
    schema = {"components": {"schemas": {"Input": {"properties": {"text": {"type": "string"}}}}}}
    old = Described(openapi=schema, version="old", raw={"id": "old"})
    info = told("acme/poet:old", acme_poet=POET, acme_poet__old=old)

    assert (info.name, info.version) == ("acme/poet:old", "old")
    assert [one.name for one in info.inputs] == ["text"]
    assert info.description == "A poet."


def test_a_version_that_cannot_be_looked_up_names_the_latest():
    gone = Described(version="old")

    with pytest.raises(NotFound, match=r"acme/poet has no version old .* Its latest is new"):
        told("acme/poet:old", acme_poet=POET, acme_poet__old=gone)


def test_a_deployment_is_told_with_the_model_that_it_runs():
    info = told("deployment:acme/prod", deployment__acme_prod=PROD, acme_poet=POET)

    assert info.name == "deployment:acme/prod"
    assert (info.model, info.version, info.hardware) == ("acme/poet", "new", "gpu-t4")
    assert [one.name for one in info.inputs] == ["prompt"]  # no version told them, the latest does


@pytest.mark.parametrize("kind", [NotFound, Unauthorized])
def test_a_deployment_of_a_model_that_is_not_seen_is_told_all_the_same(kind):
    refused = kind("no", status=404)
    info = told("deployment:acme/prod", deployment__acme_prod=PROD, acme_poet=refused)

    assert (info.model, info.inputs, info.description) == ("acme/poet", None, "")


@pytest.mark.parametrize(
    "raw", [None, {}, {"current_release": 5}, {"current_release": {"model": 5, "version": 5}}]
)
def test_a_deployment_that_does_not_say_what_it_runs(raw):
    info = told("deployment:acme/prod", deployment__acme_prod=Described(raw=raw))

    assert (info.version, info.hardware, info.inputs) == ("", "", None)
