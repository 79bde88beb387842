"""Completion in a real shell, with a Replicate of the tests' own; the cursor stands at `‸`."""

from __future__ import annotations

import atexit
import time
from contextlib import chdir
from datetime import UTC, datetime, timedelta

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from replicate_server import Model, Replicate, answer, late, openapi
from traitlets.config import Config

from replicate_magic import aliases, shelf
from replicate_magic.api.models import Described
from replicate_magic.api.operations import operations
from replicate_magic.notebook import completer, recall
from replicate_magic.notebook.command_line import COMMANDS, FILTERS
from replicate_magic.notebook.help import FILTER_HELP, help_text
from replicate_magic.notebook.recall import EMBEDDED, Recall
from replicate_magic.runs.batches import BatchRecord
from replicate_magic.runs.history import the_history
from replicate_magic.runs.record import Record

NOW = datetime.now(UTC)
PAINTER = openapi(
    prompt={"type": "string", "x-order": 0, "description": "What to \x1b[31mpaint\n."},
    style={
        "type": "string",
        "enum": ["oil on canvas", "ink", "it's", "{{name}}", "\x1b[31mred"],
        "default": "ink",
        "x-order": 1,
    },
    steps={"type": "integer", "minimum": 1, "maximum": 50, "default": 20, "x-order": 2},
    turbo={"type": "boolean", "default": False, "x-order": 3},
    image={"type": "string", "format": "uri", "x-order": 4},
    colours={"type": "array", "items": {"type": "string", "enum": ["red", "green"]}, "x-order": 5},
    api_key={"type": "string", "format": "password", "default": "sk-1", "x-order": 6},
    **{"--yes x": {"type": "string", "x-order": 7}, "a b": {"type": "string", "x-order": 8}},
)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A shell that has the extension, for the module."""
    fresh = not InteractiveShell.initialized()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
        shell.run_line_magic("load_ext", "replicate_magic")
        yield shell
        shell.run_line_magic("unload_ext", "replicate_magic")
        if fresh:
            shell.restore_sys_module_state()
            InteractiveShell.clear_instance()
            atexit.unregister(shell.atexit_operations)


@pytest.fixture
def replicate():
    with Replicate() as server:
        server.models["acme/painter"] = Model(
            official=True, schema=PAINTER, description="Paints\n\x1b[31mpictures"
        )
        yield server


@pytest.fixture
def complete(shell, home, replicate, monkeypatch):
    """Completes a text that ends at the cursor: the notes by what is offered, in its order."""
    monkeypatch.setenv("REPLICATE_BASE_URL", replicate.url)
    monkeypatch.setenv("REPLICATE_API_TOKEN", replicate.token)
    known = Recall(patience_s=10)
    completer.install(shell, known)
    variables = dict(shell.user_ns)

    def complete(marked, replaces=None):
        before, _, after = marked.partition("‸")
        with provisionalcompleter():
            found = list(shell.Completer.completions(before + after, len(before)))
        for one in found:
            assert one.end == len(before)
            assert replaces is None or before[one.start :] == replaces
            assert one.text.isprintable()
            assert one.type.isprintable()
        return {one.text: one.type for one in found}

    def settle():
        """Wait until nothing is looked for any more."""
        soon(lambda: all(one._call is None or one._call.wait(0) for one in known._known.values()))

    complete.settle = settle
    yield complete
    recall.close()  # before the server ends
    shell.user_ns.clear()
    shell.user_ns.update(variables)


def keep(number, *, model="acme/poet", status="succeeded", ago=timedelta(0), tag=None, **raw):
    """A run of history."""
    created = (datetime.now(UTC) - ago).isoformat()
    raw = {"id": f"p{number:03}", "status": status, "created_at": created, **raw}
    local = {"tag": tag} if tag else {}
    the_history().save(
        Record(raw=raw, model=model, origin="https://x.example/v1", local=local, prompt="A\nhaiku")
    )


def soon(look, within_s=10):
    """What a look gives once it gives something."""
    until_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < until_s
        time.sleep(0.01)
    return found


# -- commands ---------------------------------------------------------------------------------


def test_the_commands_are_those_of_the_parsers_table(complete):
    found = complete("%replicate ‸", replaces="")
    assert list(found) == ["run", *(command.name for command in COMMANDS), "help"]
    assert found["runs"] == "the table of runs; those that a jq program keeps"
    assert list(complete("x = %replicate ru‸", replaces="ru")) == ["run", "runs"]
    assert list(complete("%replicate help pl‸", replaces="pl")) == ["plot"]


def test_filters_and_options_of_a_command_but_those_that_are_given(complete):
    found = complete("%replicate runs status=failed --yes ‸")
    assert list(found)[: len(FILTERS) - 1] == [f"{name}=" for name in FILTERS if name != "status"]
    assert found["tag="] == "exactly this tag"
    assert "--remote" in found
    assert "--yes" not in found
    assert list(complete("%replicate runs --ski‸", replaces="--ski")) == ["--skip-errors"]
    assert list(complete("%replicate export -‸")) == ["--yes"]


def test_help_tells_of_each_filter():
    assert tuple(FILTER_HELP) == FILTERS
    assert all(f"  {name}=" in help_text("runs") for name in FILTERS)


def test_values_of_filters(complete):
    keep(1, tag="my tag")
    keep(2, model="acme/sketch", tag="b")
    assert list(complete("%replicate runs status=s‸", replaces="s")) == ["succeeded", "starting"]
    assert complete("%replicate runs since=7‸") == {"7d": "a week ago"}
    assert complete("%replicate runs tag=‸") == {'"my tag"': "1 run", "b": "1 run"}
    assert complete('%replicate runs tag="my‸', replaces="my") == {'my tag"': "1 run"}
    assert list(complete("%replicate runs model=acme/s‸")) == ["acme/sketch"]
    assert complete("%replicate runs text=‸") == {}


def test_runs_by_their_ids_the_newest_first(complete):
    keep(1, ago=timedelta(days=3))
    keep(2, ago=timedelta(hours=2), status="failed", model="acme/sketch")
    keep(3, ago=timedelta(minutes=5), status="processing")
    keep(4)
    assert list(complete("%replicate attach ‸")) == ["p003", "p004", "p002", "p001", "--timeout"]
    found = complete("%replicate attach p00‸", replaces="p00")
    assert found == {
        "p003": "acme/poet, processing, 5 min ago · A haiku",
        "p004": "acme/poet, succeeded, just now · A haiku",
        "p002": "acme/sketch, failed, 2 h ago · A haiku",
        "p001": "acme/poet, succeeded, 3 d ago · A haiku",
    }
    assert complete("%replicate attach q‸") == {}


def test_ids_for_what_is_done_about_a_run_and_inputs_for_one_that_is_run_again(complete):
    keep(1, model="acme/painter")
    keep(2, status="processing")
    for command in ("show", "rerun", "code", "diff", "diff p002"):
        assert "p001" in complete(f"%replicate {command} p‸", replaces="p")
    assert "p002" not in complete("%replicate diff p002 p‸")
    assert list(complete("%replicate cancel ‸")) == ["p002", "p001", "--all"]
    soon(lambda: "steps=" in complete("%replicate rerun p001 ‸"))
    assert list(complete("%replicate rerun p001 style=in‸")) == ["ink"]
    assert "--grid" in complete("%replicate rerun p001 --‸")


def test_a_run_that_is_not_among_the_newest_is_found_by_its_beginning(complete):
    records = [(number, timedelta(minutes=number)) for number in range(1_005)]
    the_history().save_all([
        Record(
            raw={"id": f"n{number:04}", "status": "succeeded", "created_at": str(NOW - ago)},
            model="acme/poet",
            origin="https://x.example/v1",
        )
        for number, ago in records
    ])  # fmt: skip
    keep(9, ago=timedelta(days=300))
    assert "p009" not in complete("%replicate attach ‸")
    assert list(complete("%replicate attach p‸")) == ["p009"]


def test_batches_by_their_ids(complete):
    for name, total in (("b1", 3), ("b2", None)):
        the_history().begin_batch(BatchRecord(id=name, total=total))
    found = complete("%replicate resume b‸", replaces="b")
    assert found == {"b2": "requests, running, just now", "b1": "3 requests, running, just now"}


def test_metrics_that_there_are(complete):
    keep(1, metrics={"predict_time": 1.0, "image_count": 2})
    assert list(complete("%replicate plot i‸", replaces="i")) == ["image_count"]
    assert list(complete("%replicate plot predict_time --by s‸")) == ["status"]


def test_aliases_and_the_models_they_may_stand_for(complete):
    aliases.alias(poet="acme/poet")
    assert complete("%replicate alias --delete ‸") == {"poet": "acme/poet"}
    assert list(complete("%replicate alias mine=local/w‸", replaces="local/w")) == ["local/waifu2x"]


def test_looking_makes_no_history(complete, home):
    assert "p001" not in complete("%replicate attach ‸")
    complete("%replicate resume ‸")
    assert not home.exists()


# -- models -----------------------------------------------------------------------------------


def test_models_that_were_run_then_aliases_then_those_of_this_machine(complete):
    aliases.alias(poet="acme/poet")
    for number in range(5):
        keep(number, model="acme/often", ago=timedelta(hours=1, minutes=number))
    keep(7, model="acme/last")
    found = complete("%%replicate ‸", replaces="")
    assert list(found) == ["acme/often", "acme/last", "poet", *EMBEDDED]
    assert found["acme/often"] == "5 runs, the last 1 h ago"
    assert found["poet"] == "short for acme/poet"
    assert list(complete("%%replicate acme/last e/ofte‸", replaces="e/ofte")) == ["acme/often"]
    assert "acme/last" not in complete("%%replicate acme/last acm‸")
    assert list(complete("%replicate run loc‸")) == list(EMBEDDED)
    assert list(complete("%replicate info acme/l‸")) == ["acme/last"]


def test_a_name_that_could_not_be_written_is_not_offered(complete):
    for number, model in enumerate(("", "two words", "a/b\x1b[31m", "x/{{1}}", "-o", "'a/b")):
        keep(number, model=model)
    assert list(complete("%%replicate ‸")) == list(EMBEDDED)


def test_models_that_were_looked_up_before(complete, replicate):
    kept = shelf.Kept(described=Described(openapi=PAINTER), fetched_at=NOW)
    shelf.write(f"{replicate.url}/v1", "acme/painter", kept)
    shelf.write("https://elsewhere.example/v1", "acme/other", kept)
    found = soon(lambda: complete("%%replicate ac‸"))
    assert found == {"acme/painter": "looked up before"}


def test_models_that_the_search_finds_are_there_the_next_time(complete, replicate):
    found = soon(lambda: complete("%%replicate paint‸", replaces="paint"))
    assert found == {"acme/painter": "1,234 runs · Paints ␛[31mpictures"}
    complete("%%replicate paint‸")
    [asked] = replicate.seen("search")
    assert asked.query["query"] == "paint"


@pytest.mark.parametrize(
    "word", ["pa", "local/w", "deployment:acme/p", "http://localhost", "{{mod", "acme/poet temper"]
)
def test_what_is_no_word_to_search_for_is_not_sent(complete, replicate, word):
    complete(f"%%replicate {word}‸")
    complete.settle()
    assert replicate.seen("search") == []


def test_an_api_that_does_not_answer_is_not_waited_for(complete, replicate):
    replicate.fails("search", always=late(30))
    replicate.fails("model", always=late(30))
    keep(1)
    began_s = time.monotonic()
    assert list(complete("%%replicate poe‸")) == ["acme/poet"]
    assert complete("%%replicate acme/painter st‸") == {}
    assert time.monotonic() - began_s < 1


def test_without_a_token_nothing_is_searched(complete, replicate, monkeypatch):
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    complete("%%replicate paint‸")
    complete.settle()
    assert replicate.requests == []


def test_where_only_history_answers_nothing_is_asked(complete, replicate, monkeypatch):
    monkeypatch.setenv("REPLICATE_MAGIC_REPLAY", "only")
    complete("%%replicate paint‸")
    complete("%%replicate acme/painter ‸")
    complete.settle()
    assert replicate.requests == []


# -- inputs -----------------------------------------------------------------------------------


@pytest.fixture
def painter(complete):
    """Completes, once the model's schema is known."""
    soon(lambda: complete("%%replicate acme/painter sty‸"))
    return complete


def test_inputs_are_looked_up_and_there_the_next_time(complete, replicate):
    assert "style=" not in complete("%%replicate acme/painter ‸")
    found = soon(lambda: complete("%%replicate acme/painter st‸", replaces="st"))
    assert found == {
        "style=": "oil on canvas | ink | it's | {{name}} | ␛[31mred, default ink",
        "steps=": "integer, 1 to 50, default 20",
    }
    assert len(replicate.seen("model")) == 1


def test_a_model_that_does_not_exist_is_asked_once(complete, replicate):
    for _ in range(3):
        assert complete("%%replicate acme/nobody st‸") == {}
        complete.settle()
    assert len(replicate.seen("model")) == 1


def test_inputs_are_told_by_type_default_range_and_description(painter):
    found = painter("%%replicate acme/painter ‸")
    assert found["prompt="] == "string, the cell's body · What to ␛[31mpaint ."
    assert found["turbo="] == "boolean, default false"
    assert found["image="] == "file"
    assert found["api_key="] == "string"
    assert [name for name in found if not name.startswith("--")] == [
        "prompt=", "style=", "steps=", "turbo=", "image=", "colours=", "api_key=",
    ]  # fmt: skip
    assert "--timeout" in found


def test_inputs_of_the_line_form_of_an_alias_and_of_the_default_model(painter, shell):
    aliases.alias(brush="acme/painter")
    assert list(painter("%replicate run brush ste‸")) == ["steps="]
    assert list(painter("%replicate run brush paint a cat ste‸")) == ["steps="]
    magics = shell.magics_manager.registry["ReplicateMagics"]
    magics.default_model = "acme/painter"
    try:
        assert list(painter("%%replicate ste‸")) == ["steps="]
    finally:
        magics.default_model = ""


def test_inputs_that_are_given_are_left_out(painter):
    text = "%%replicate acme/painter steps=1 st‸ --quiet\n---\ntwo: 2\n---\n"
    assert list(painter(text, replaces="st")) == ["style="]
    assert "style=" not in painter("%%replicate acme/painter ‸\n---\nstyle: ink\n---\n")


def test_inputs_in_the_header_block(painter):
    found = painter("%%replicate acme/painter steps=1\n---\nst‸\n---\nA cat", replaces="st")
    assert list(found) == ["style: "]
    found = painter("%%replicate acme/painter\n---\nstyle: ‸", replaces="")
    assert list(found) == ["oil on canvas", "ink", "it's"]
    assert painter("%%replicate acme/painter\n---\nimage: ‸") == {"@": "a file of this machine"}


def test_inputs_from_disk_where_the_api_is_out_of_reach(complete, replicate, monkeypatch):
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:9")
    kept = shelf.Kept(described=Described(openapi=PAINTER), fetched_at=NOW - timedelta(days=400))
    shelf.write("http://127.0.0.1:9/v1", "acme/painter", kept)
    assert soon(lambda: complete("%%replicate acme/painter tur‸")) == {
        "turbo=": "boolean, default false"
    }


def test_inputs_of_the_models_of_this_machine_are_known_without_an_engine(complete, shell):
    found = complete("%%replicate local/waifu2x ‸")
    assert list(found)[:4] == ["image=", "scale=", "noise=", "style="]
    assert found["image="].startswith("file, required · The picture")
    assert complete("%%replicate local/waifu2x scale=‸") == {"2": "default", "4": "choice"}
    from replicate_magic.session import the_session

    assert the_session().endpoints.engine == ""


def test_values_are_written_as_they_are_read_back(painter):
    found = painter("%%replicate acme/painter style=‸", replaces="")
    assert found == {'"oil on canvas"': "choice", "ink": "default", '"it\'s"': "choice"}
    assert list(painter('%%replicate acme/painter style="oil o‸', replaces="oil o")) == [
        'oil on canvas"'
    ]
    assert list(painter("%%replicate acme/painter style='i‸", replaces="i")) == ["ink'"]
    assert painter("%%replicate acme/painter turbo=‸") == {"true": "choice", "false": "default"}
    assert painter("%%replicate acme/painter steps=‸") == {"20": "default"}
    assert painter("%%replicate acme/painter api_key=‸") == {}
    assert list(painter("%%replicate acme/painter style:=‸"))[:2] == ['"oil on canvas"', '"ink"']
    assert list(painter('%%replicate acme/painter style:="i‸', replaces="i")) == ['ink"', "it's\""]


def test_lists_and_grids_have_commas(painter):
    assert list(painter("%%replicate acme/painter colours=re‸", replaces="re")) == ["red"]
    assert list(painter("%%replicate acme/painter colours=red,‸", replaces="")) == ["red", "green"]
    assert list(painter("%%replicate acme/painter --grid st‸", replaces="st")) == [
        "style=",
        "steps=",
    ]
    found = painter("%%replicate acme/painter --grid style=ink,in‸", replaces="in")
    assert list(found) == ["ink"]


def test_files(complete, tmp_path):
    for name in ("cat.png", "my dog.png", ".hidden", "it's.txt"):
        (tmp_path / name).touch()
    (tmp_path / "my pictures").mkdir()
    (tmp_path / "my pictures" / "a.png").touch()
    start = "%%replicate local/waifu2x image=@"
    with chdir(tmp_path):
        found = complete(f"{start}‸", replaces="")
        assert {name for name in found if "home" not in name} == {
            "cat.png", "my\\ dog.png", "my\\ pictures/", "it\\'s.txt",
        }  # fmt: skip
        assert found["cat.png"] == "file"
        assert complete(f"{start}my\\ p‸", replaces="my\\ p") == {"my\\ pictures/": "folder"}
        assert list(complete(f"{start}my\\ pictures/‸")) == ["my\\ pictures/a.png"]
        assert list(complete(f"{start}'my d‸", replaces="my d")) == ["my dog.png'"]
        assert list(complete(f"{start}'my p‸", replaces="my p")) == ["my pictures/"]
        assert list(complete(f"{start}.h‸")) == [".hidden"]
        assert list(complete("%replicate export c‸")) == ["cat.png"]
        assert "cat.png" in complete("%%replicate a/b --file ‸")
        assert list(complete("%%replicate a/b --save my‸")) == ["my\\ pictures/"]
        assert list(complete("%%replicate a/b\n---\nk: @my d‸")) == ["my dog.png"]
    assert complete(f"{start}{tmp_path}/ca‸") == {f"{tmp_path}/cat.png": "file"}


def test_values_of_options(complete):
    assert list(complete("%%replicate a/b -f ‸"))[:2] == ["auto", "markdown"]
    assert list(complete("%%replicate a/b --format=ht‸", replaces="ht")) == ["html"]
    assert list(complete("%%replicate a/b --form‸", replaces="--form")) == ["--format"]
    assert list(complete("%%replicate a/b -q‸", replaces="-q")) == ["--quiet"]
    assert complete("%%replicate a/b --jq '.out‸") == {}
    prompts = complete("%%replicate local/smollm2-135m-instruct --prompt-key ‸")
    assert list(prompts) == ["prompt", "system_prompt"]


# -- Python -----------------------------------------------------------------------------------


class Table:
    """As much of a DataFrame as is asked for."""

    columns = ("text", "my column", 'odd "name"')

    @property
    def dear(self):
        raise AssertionError("this was evaluated")


@pytest.fixture
def variables(shell, complete):
    """Completes with some variables of the user's."""
    shell.push({
        "df": Table(), "rows": [{"city": "Oslo", "a b": 1}], "inputs": {"alpha": 1}, "number": 3,
        "name": "x", "_private": 1,
    })  # fmt: skip
    return complete


def test_variables_where_an_option_takes_one(variables):
    found = variables("%%replicate a/b -o ‸")
    assert found == {
        "df": "Table",
        "inputs": "dict",
        "name": "str",
        "number": "int",
        "rows": "list",
    }
    assert list(variables("%%replicate a/b --input-from ‸")) == ["inputs"]
    assert list(variables("%%replicate a/b --rows ‸")) == ["df", "rows"]
    assert list(variables("%%replicate a/b --rows {{ro‸")) == ["rows", "round"]


@pytest.mark.parametrize("start", ["%%replicate a/b k={{", "%%replicate a/b\nHello {{ f(1, "])
def test_variables_in_an_expression(variables, start):
    assert list(variables(f"{start}n‸", replaces="n"))[:2] == ["name", "number"]
    assert "not" in variables(f"{start}n‸")
    assert list(variables(f"{start}‸", replaces=""))[:2] == ["df", "inputs"]
    assert list(variables(f"{start}df.de‸", replaces="de")) == ["dear"]
    assert list(variables(f"{start}name.isal‸")) == ["isalnum", "isalpha"]
    assert "_repr_html_" not in variables(f"{start}df.‸")
    assert variables(f"{start}'na‸") == {}
    assert list(variables(f"{start}inputs['‸")) == ["alpha"]


@pytest.mark.parametrize("source", ["fire().", "[fire()].", "df[fire()].", "fire()['", "fire().x."])
def test_no_call_is_made(variables, shell, source):
    shell.push({"fired": []})
    shell.run_cell("def fire(): fired.append(1); return 'text'")
    variables(f"%%replicate a/b\nHello {{{{{source}‸")
    assert shell.user_ns["fired"] == []


def test_a_row_and_its_columns(variables):
    start = "%%replicate a/b --rows {{df[:2]}}\nHello {{"
    assert variables(f"{start}ro‸", replaces="ro")["row"] == "a row of --rows"
    assert list(variables(f"{start}row.‸", replaces="")) == ["text"]
    assert list(variables(f'{start}row["m‸', replaces="m")) == ['my column"]']
    assert list(variables(f"{start}row[‸", replaces="")) == [
        '"text"]', '"my column"]', "'odd \"name\"']",
    ]  # fmt: skip
    assert list(variables("%%replicate a/b --rows rows k={{row.‸")) == ["city"]
    assert "row" not in variables("%%replicate a/b\nHello {{ro‸")


def test_a_prompt_is_prose(variables):
    assert variables("%%replicate a/b\nHello na‸") == {}
    assert variables("%%replicate a/b\nprint(na‸") == {}
    assert variables("%%replicate a/b\n/us‸") == {}
    assert variables("%replicate run a/b Tell me of na‸") == {}
    assert variables("%%replicate a/b --raw\nHello {{na‸") == {}


def test_python_is_left_alone(variables):
    assert "name" in variables("na‸")
    assert "name" in variables("x = '%replicate '\nna‸")
    assert list(variables("%%repl‸")) == ["%%replicate"]
    assert list(variables("%%replicate‸ a/b")) == ["%%replicate"]


# -- whatever happens -------------------------------------------------------------------------


def test_nothing_is_raised_or_printed_where_all_is_broken(complete, home, monkeypatch, capfd):
    monkeypatch.setenv("REPLICATE_BASE_URL", "ftp://nowhere")
    home.mkdir()
    (home / "history.db").mkdir()
    (home / "aliases.json").write_text("]")
    assert "runs" in complete("%replicate ‸")
    assert list(complete("%%replicate ‸")) == list(EMBEDDED)
    assert list(complete("%replicate attach ‸")) == ["--timeout"]
    complete("%%replicate acme/painter ‸")
    monkeypatch.setenv("REPLICATE_MAGIC_REPLAY", "nonsense")
    complete("%%replicate paint‸")
    complete.settle()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "odd",
    [
        {"models": 3},
        {"models": [1, {}, {"model": None}, {"model": {"owner": [], "name": {}}}]},
        [],
        "<html>",
    ],
)
def test_an_odd_answer_of_the_search_is_no_harm(complete, replicate, odd):
    replicate.fails("search", answer(200, odd))
    complete("%%replicate paint‸")
    complete.settle()
    assert complete("%%replicate paint‸") == {}
    assert len(replicate.seen("search")) == 1


def test_unloading_takes_it_away_and_loading_puts_it_there_once(complete, shell):
    ours = [m for m in shell.Completer.custom_matchers if m.matcher_identifier == "replicate_magic"]
    assert len(ours) == 1
    shell.run_line_magic("reload_ext", "replicate_magic")
    assert len(shell.Completer.custom_matchers) == 1
    shell.run_line_magic("unload_ext", "replicate_magic")
    assert shell.Completer.custom_matchers == []
    shell.run_line_magic("load_ext", "replicate_magic")
    assert "runs" in complete("%replicate ‸")


def test_the_models_of_this_machine_are_those_of_the_engine(engine):
    import httpx

    headers = {"authorization": f"Bearer {engine.token}"}
    listed = httpx.get(f"{engine.base_url}/v1/models", headers=headers).json()["results"]
    from replicate_magic.endpoint import embedded_schemas

    schemas = embedded_schemas()
    told = {f"local/{one['name']}": one["latest_version"]["openapi_schema"] for one in listed}
    assert schemas == told
    assert tuple(schemas) == EMBEDDED


# -- calls of the API -------------------------------------------------------------------------


def test_a_call_begins_with_a_method_or_a_path(complete):
    found = complete("%replicate api ‸", replaces="")

    assert list(found)[:6] == ["GET", "QUERY", "POST", "PATCH", "DELETE", "/account"]
    assert list(complete("%replicate api de‸", replaces="de")) == ["DELETE", *_under("deployments")]
    assert list(complete("%replicate api delete /fi‸", replaces="/fi")) == ["/files/{file_id}"]


def _under(room):
    paths = {one.path[1:]: None for one in operations() if one.method in {"GET", "POST"}}
    return [path for path in paths if path.startswith(room)]


def test_paths_have_what_they_do_beside_them_and_go_on_from_names(complete):
    keep(1)
    assert complete("%replicate api POST /tr‸") == {
        "/trainings/{training_id}/cancel": "Cancel a training"
    }
    assert complete("%replicate api /models/acme/painter/re‸") == {
        "/models/acme/painter/readme": "Get a model's README"
    }
    assert "/models/acme/poet" in complete("%replicate api GET /models/ac‸")
    assert list(complete("%replicate api /predictions/p0‸")) == [
        "/predictions/p001",
        "/predictions/p0",
        "/predictions/p0/cancel",
    ]
    assert complete("%replicate api /nonsense/‸") == {}


def test_the_fields_of_an_operation_have_types_and_values(complete):
    fields = complete("%replicate api /models sort‸")
    assert list(fields) == ["sort_by=", "sort_direction="]
    assert fields["sort_direction="] == "asc | desc, default desc · Sort direction."
    assert list(complete("%replicate api /models sort_direction=desc sort‸")) == ["sort_by="]
    assert list(complete("%replicate api /models sort_direction=‸")) == ["asc", "desc"]
    assert list(complete("%replicate api PATCH /deployments/{owner}/{name} ‸"))[:3] == [
        "deployment=",
        "hardware=",
        "max_instances=",
    ]
    assert complete("%replicate api POST /files content=‸") == {"@": "a file of this machine"}
    assert "local/waifu2x" in complete("%replicate api /models/{owner}/{name} model=‸")


def test_what_a_call_runs_has_its_inputs_offered(complete):
    line = "%replicate api POST /models/acme/painter/predictions"
    complete(f"{line} ‸")
    complete.settle()

    found = complete(f"{line} input.st‸")
    assert list(found) == ["input.style=", "input.steps="]
    assert found["input.steps="] == "integer, 1 to 50, default 20"
    assert list(complete(f"{line} input.turbo=‸")) == ["true", "false"]
    assert list(complete(f"{line} Can‸")) == ["Cancel-After="]
    assert "acme/poet" in (keep(1), complete("%replicate api POST /predictions version=‸"))[1]
