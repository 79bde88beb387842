"""`%replicate api` and `%replicate search`, in real kernels."""

from __future__ import annotations

import pytest
from replicate_server import Reply, reply

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home")}


def test_answers_are_shown_kept_and_told(execute, replicate, tmp_path):
    replicate.answers["GET", "/hardware"] = reply(200, [{"name": "CPU", "sku": "cpu"}])
    replicate.answers["GET", "/webhooks/default/secret"] = reply(200, {"key": "whsec_1234"})
    replicate.answers["DELETE", "/models/acme/poet"] = Reply(status=204)
    (tmp_path / "a.txt").write_text("hello")
    outputs = execute(
        "%replicate api account --jq .username -o name",
        "print(name, _)",
        "%replicate api /hardware",
        "path = 'models'\nx = %replicate api get /{{path}}/{owner}/{name} model=acme/poet\n"
        "print(type(x).__name__, x['owner'])",
        "%replicate api /webhooks/default/secret",
        "%replicate api DELETE /models/acme/poet",
        "%replicate api DELETE /models/acme/poet -y",
        f"%replicate api POST /files content=@{tmp_path / 'a.txt'} --jq .size",
        f"%replicate api /account --save {tmp_path / 'account.json'}",
        f"%replicate api /account --save {tmp_path / 'account.json'}",
        "%replicate api /account --save /dev/full -y",
        "print(b'ada' in _)",
        "%config ReplicateMagics.default_model = 'acme/sketch'\n"
        "%replicate api /models/{owner}/{name} --jq .name",
        "%replicate api /account --jq '.username == $x' --arg x={{'a' + 'da'}}",
    )
    shown = [one.text for one in outputs]

    assert shown[:2] == ["'ada'", "ada ada"]
    assert "<table" in outputs[2].bundles[0]["text/html"]
    assert "CPU   cpu" in shown[2]
    assert shown[3] == "JSONObject acme"
    assert "whsec" not in str(outputs[4].raw)
    assert "Delete a model. That is for good. --yes (in Python yes=True)" in outputs[5].told
    assert shown[6] == "DELETE /models/acme/poet: done (HTTP 204). The answer is empty: None."
    assert shown[7] == "5"
    assert shown[8].startswith(f"50 B in {tmp_path / 'account.json'}")
    assert (tmp_path / "account.json").read_text().startswith('{"type": "user"')
    assert "it exists; --yes replaces it. Nothing was sent." in outputs[9].told
    assert "/dev/full: No space left on device. _ holds the answer." in outputs[10].told
    assert shown[11:] == ["True", "'sketch'", "True"]


def test_a_prediction_is_followed_to_its_end_and_can_be_watched_meanwhile(execute, replicate):
    dry, _, shown, attached = execute(
        '%replicate api POST /models/acme/poet/predictions input.prompt="a b" --dry-run',
        "p = %replicate api POST /models/acme/poet/predictions input.prompt='a b' --yes",
        "%replicate api /predictions",
        "import replicate_magic as rm\nprint(rm.attach(p['id']).text)",
    )

    assert dry.text.startswith(f"POST {replicate.url}/v1/models/acme/poet/predictions\n")
    assert '"prompt": "a b"' in dry.text
    assert dry.text.endswith("acme/poet runs, which costs money. Nothing was sent.")
    assert replicate.token not in dry.text
    assert "a b" in shown.text
    assert "1 run · " in shown.text
    assert attached.text == "Hello world"
    assert len(replicate.seen("create")) == 1


def test_a_search_is_a_table_and_a_frame(execute, replicate):
    model = {"owner": "acme", "name": "poet", "description": "Poems", "run_count": 1_234}
    pages = [{"name": "Guide", "href": "/docs/x"}]
    found = {"models": [{"model": model}], "pages": pages}
    replicate.answers["GET", "/search"] = reply(200, found)
    shown, docs, named, both, nothing = execute(
        "%replicate search demo poems",
        "%replicate search poems --docs",
        "what = 'po'\nx = %replicate search {{what}}ems --limit 1\nprint(x.model.tolist())",
        "%replicate search poems --docs --collections",
        "%replicate search",
    )

    assert "acme/poet  1,234  Poems" in shown.text
    assert "1 model · 3 more columns: df.columns · also 1 page (--docs)" in shown.text
    assert "replicate.com/docs/x" in docs.text
    assert named.text == "['acme/poet']"
    assert replicate.requests[2].query == {"query": "poems", "limit": "1"}
    assert "give one of them" in both.told
    assert "Write %replicate search WORDS." in nothing.told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("api", "Write %replicate api [METHOD] PATH [key=value …]."),
        ("api GET", "A path goes behind GET"),
        ("api /models GET", "The method comes first: %replicate api GET /models"),
        ("api a b c", "c is one word too many"),
        ("api GTE /models", "Did you mean GET?"),
        ("api /models sort=x", "Did you mean sort_by?"),
        ("api /models a=1 a=2", "a= is given twice"),
        ("api /account --jq '.x ='", "syntax error"),
        ("api /account --paginat", "Did you mean --paginate? %replicate help api lists them."),
        ("api /account --limit few", "that is no whole number"),
        ("api https://evil.example/x", "the token goes nowhere else"),
        ("api /models/{{nothing}}", "name 'nothing' is not defined"),
        ("api /predictions/{prediction_id}", "write prediction_id=… behind it"),
        ("api /account --save x --jq .", "give one of them"),
        ("api /account --save /none/x", "no name of a file in a folder"),
        (f"api /account --save {'x' * 300}", "no name of a file in a folder"),
        ("api POST /files content=@none.txt", "No such file"),
        ("api POST /predictions version=x input=y", "no JSON object"),
        ("search --limit 51 x", "from 1 to 50"),
        ("search x a=1", "has no filter a="),
    ],
)
def test_a_line_that_makes_no_sense_is_told(line, told, lines_told):
    assert told in lines_told[line]


@pytest.fixture(scope="module")
def lines_told(tmp_path_factory):
    """What each wrong line is told, all of them by one kernel, with nobody to ask."""
    import os

    import nbformat
    from nbclient import NotebookClient

    marks = test_a_line_that_makes_no_sense_is_told.pytestmark
    lines = [line for line, _ in next(one for one in marks if one.name == "parametrize").args[1]]
    cells = [nbformat.v4.new_code_cell(f"%replicate {line}") for line in lines]
    notebook = nbformat.v4.new_notebook(cells=cells)
    home = tmp_path_factory.mktemp("home")
    variables = {
        "REPLICATE_MAGIC_HOME": str(home), "IPYTHONDIR": str(home / "ipython"),
        "REPLICATE_BASE_URL": "http://127.0.0.1:9", "REPLICATE_API_TOKEN": "r8_none",
    }  # fmt: skip
    client = NotebookClient(notebook, timeout=60, allow_errors=True, kernel_name="python3")
    client.execute(env={**os.environ, **variables})
    return {
        line: " ".join("\n".join(cell.outputs[0]["traceback"]).split())
        for line, cell in zip(lines, notebook.cells, strict=True)
    }


def test_help_has_how_fields_are_written(execute):
    (shown,) = execute("%replicate api -h")

    assert "input.prompt=" in shown.printed
    assert "--paginate" in shown.printed
