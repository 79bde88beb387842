"""`%replicate info`, in real kernels."""

from __future__ import annotations

import pytest
from replicate_server import OLDER, VERSION, changed

pytestmark = pytest.mark.slow

TOLD = changed(
    description="Writes <b>poems</b>.",
    run_count=1_234,
    license_url="https://example.com/licence",
    default_example={"input": {"prompt": "Name {{1 + 1}} fruits."}},
)


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home")}


def test_a_model_is_told_and_its_example_runs_as_it_stands(execute, replicate):
    replicate.fails("model", TOLD, TOLD)
    shown, _, _, asked = execute(
        "%replicate info acme/poet",
        "x = %replicate info acme/poet",
        "get_ipython().run_cell(x.example)",
        "import replicate_magic as rm\nname = 'acme/poet'\n"
        "y = %replicate info {{name}}\nprint(rm.info(name) == x == y)",
    )
    [bundle] = shown.bundles

    assert bundle["text/plain"].startswith(
        "acme/poet · official · 1,234 runs\nWrites <b>poems</b>."
    )
    assert "prompt (the cell's body): string" in bundle["text/plain"]
    assert f"version  {VERSION}" in bundle["text/plain"]
    assert "Writes &lt;b&gt;poems&lt;/b&gt;." in bundle["text/html"]
    assert replicate.predictions[0]["input"] == {"prompt": "Name {{1 + 1}} fruits."}
    assert asked.text == "True"
    assert len(replicate.seen("model")) == 1


def test_versions_and_deployments_are_told(execute, replicate):
    replicate.fails("model", TOLD)
    version, deployment = execute(
        f"%replicate info acme/sketch:{OLDER}", "%replicate info deployment:acme/prod"
    )

    assert f"acme/sketch:{OLDER} · community · 1,234 runs" in " ".join(version.text.split())
    assert f"version  {OLDER}" in version.text
    assert deployment.text.startswith("deployment:acme/prod · official")
    assert "runs     acme/poet" in deployment.text
    assert "prompt (the cell's body)" in deployment.text


def test_what_is_not_there_is_told_as_for_a_run(execute, replicate):
    lines = ("acme/nobody", f"acme/poet:{'0' * 64}", "poet", "", "acme/poet more")
    outputs = execute(*(f"%replicate info {line}" for line in lines))
    told = [output.told for output in outputs]

    assert outputs[0].error.startswith("NotFound: acme/nobody: ")
    assert "Check the spelling" in told[0]
    assert f"Its latest is {VERSION}" in told[1]
    assert "poet is not a model" in told[2]
    assert "Write %replicate info MODEL." in told[3]
    assert "more is one word too many" in told[4]


def test_without_a_token_or_a_connection_it_says_so(execute):
    [offline] = execute(
        "%replicate info acme/poet", env={"REPLICATE_BASE_URL": "http://127.0.0.1:9"}
    )
    [no_token] = execute(
        "%replicate info acme/poet",
        env={"REPLICATE_BASE_URL": "https://api.invalid", "REPLICATE_API_TOKEN": ""},
    )

    assert offline.error.startswith("ConnectionFailed:")
    assert no_token.error.startswith("Unauthorized: There is no API token, which acme/poet needs")


def test_it_has_a_help_text(execute):
    [told] = execute("%replicate help info")

    assert told.printed.startswith("%replicate info MODEL\n")


@pytest.mark.model
def test_the_models_of_the_engine_are_told_and_their_example_runs(engine, execute, environment):
    environment |= {"REPLICATE_BASE_URL": engine.base_url, "REPLICATE_API_TOKEN": engine.token}
    shown, _, ran, upscaler, nearest = execute(
        "%replicate info local/smollm2-135m-instruct",
        "x = %replicate info local/smollm2-135m-instruct",
        "get_ipython().run_cell(x.example)\nprint(_.status)",
        "%replicate info local/waifu2x",
        "%replicate info local/smollm2",
        env=environment,
    )

    assert "prompt (the cell's body): string" in shown.text
    assert "messages: list of objects; default []" in shown.text
    assert "max_tokens: integer; 1 to 2048; default 256" in shown.text
    assert "output   text, piece by piece" in shown.text
    assert "seed=2\nWhat is a neural network?" in shown.text
    assert ran.error is None
    assert " · succeeded · " in ran.text
    assert "output   a file" in upscaler.text
    assert "Did you mean local/smollm2-135m-instruct?" in nearest.told
