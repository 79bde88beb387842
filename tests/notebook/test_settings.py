"""The settings in real kernels: refused in one line, told where misspelt, what goes before what."""

from __future__ import annotations

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient
from replicate_server import Model, Replicate, become, openapi, say

COST = {"predict_time": 4.0}

REFUSED = {
    "timeout = 'soon'": "soon is not a duration: write 30, 90s, 5m or 1h30m. It stays '1h'.",
    "timeout = []": "it takes a duration: 30, 90s, 5m or 1h30m. It stays '1h'.",
    "timeout = -5": "is not a duration",
    "most_requests = 0": "it takes a whole number, from 1. It stays 50.",
    "most_requests = 2.5": "it takes a whole number, from 1.",
    "most_preview_kb = -1": "it takes a whole number of kB, from 0. It stays 300.",
    "most_file_gb = -0.1": "it takes a number of GB, from 0. It stays 1.0.",
    "most_saved_gb = float('nan')": "it takes a number of GB, from 0. It stays 10.0.",
    "budget_usd = 'five'": "it takes an amount of US dollars, from 0, or None for no limit.",
    "budget_usd = -1": "it takes an amount of US dollars",
    "budget_usd = float('inf')": "it takes an amount of US dollars",
    "prices = 3": 'it takes {"owner/name": {"predict_time": 0.000225',
    "prices = {'a/b': 3}": "Not a price: 'a/b': 3.",
    "prices = {'a/b': 'gpu-t5'}": "is known: 'a/b': 'gpu-t5'. Did you mean gpu-t4?",
    "view = 'brwser'": "it takes one of auto, browser, headless, terminal, plain. It stays 'auto'.",
    "replay = 'often'": "it takes one of off, prefer, only. It stays ''.",
    "default_model = 'llama'": "llama is not a model. Write owner/name",
    "default_model = 3": "it takes a model, owner/name or local/NAME for example, or an alias.",
    "aliases = {'a/b': 'c/d'}": "a/b is no name for a model",
    "aliases = {'llama': 'other'}": "llama: other is not a model",
    "aliases = []": 'it takes {"llama": "meta/meta-llama-3-8b-instruct"}. It stays {}.',
    "defualt_model = 'a/b'": "has no setting defualt_model. Did you mean default_model?",
    "bugdet_usd = 1": "has no setting bugdet_usd. Did you mean budget_usd?",
    "nothing_like_it = 1": "has no setting nothing_like_it. %config ReplicateMagics lists them.",
}

DRY = "%%replicate {} --dry-run\nhi"
SENT = "from replicate_magic.session import the_session as s"
OFF = "import os; os.environ['REPLICATE_MAGIC_REPLAY'] = '{}'"
POP = """del os.environ['REPLICATE_API_TOKEN']
base = os.environ.pop('REPLICATE_BASE_URL')
from replicate_magic import tokens; tokens.find('https://api.replicate.com/v1')"""
PAIRS = (
    # argument, cell header, %config, environment, default: the nearer one to the cell wins
    ("model: %config", "%config ReplicateMagics.default_model = 'acme/poet'", None),
    ("model: %config is used", "%%replicate --dry-run\nhi", "/models/acme/poet/predictions"),
    ("model: argument over %config", DRY.format("acme/sketch"), '"version": "5c7d5dc6'),
    ("timeout: default", DRY.format("acme/poet"), "cancel-after: 3600s"),
    ("timeout: %config", "%config ReplicateMagics.timeout = '5m'", None),
    ("timeout: %config over default", DRY.format("acme/poet"), "cancel-after: 300s"),
    ("timeout: argument over %config", DRY.format("acme/poet --timeout 2m"), "cancel-after: 120s"),
    ("inputs: a dict", "more = {'a': 'dict', 'b': 'dict', 'c': 'dict'}", None),
    (
        "inputs: argument over header over --input-from",
        "%%replicate acme/loose --dry-run --input-from more a=line\n---\na: top\nb: top\n---\n",
        '"a": "line",\n    "b": "top",\n    "c": "dict"',
    ),
    ("replay: environment", OFF.format("only"), None),
    ("replay: environment over default", "%replicate run acme/poet new", "NotInHistory"),
    ("replay: %config", "%config ReplicateMagics.replay = 'off'", None),
    ("replay: %config over environment", "%replicate run acme/poet new", "acme/poet · succeeded"),
    (
        "replay: argument over %config",
        "%replicate run acme/poet --cached new",
        "from history",
    ),
    ("replay: default", "%config ReplicateMagics.replay = ''\n" + OFF.format(""), None),
    ("replay: default is off", "%replicate run acme/poet new", "acme/poet · succeeded"),
    ("limits: %config", "%config ReplicateMagics.most_requests = 2", None),
    ("limits: %config over default", "%%replicate acme/poet --repeat 3\nhi", "more than 2 want"),
    ("limits: argument", "%%replicate acme/poet --repeat 3 --yes -q -o many\nhi", None),
    ("limits: argument over %config", "len(many)", "3"),
    ("prices: %config", "%config ReplicateMagics.prices = {'acme/poet': 'gpu-t4'}", None),
    ("prices: %config over none", "%replicate run acme/poet hi", "· ≈ $0.0009 ·"),
    ("aliases: %config", "%config ReplicateMagics.aliases = {'p': 'acme/poet'}", None),
    ("aliases: %config is used", DRY.format("p"), "/models/acme/poet/predictions"),
    ("place: %config", "%config ReplicateMagics.view = 'plain'", None),
    ("place: %config over what is found", "%replicate status", "shown in         plain"),
    ("token: environment", "%replicate status", "from REPLICATE_API_TOKEN"),
    (
        "token: environment over .env",
        "open('.env', 'w').write('REPLICATE_API_TOKEN=r8_dotenv\\n'); _ = 0\n%replicate status",
        "from REPLICATE_API_TOKEN",
    ),
    (
        "token: .env over none",
        POP,
        "<Token from ",
    ),
    ("address: default", "s().endpoints.configured().base", "https://api.replicate.com/v1"),
    (
        "address: environment over default",
        "os.environ['REPLICATE_BASE_URL'] = base\ns().endpoints.configured().base == base + '/v1'",
        "True",
    ),
)


def told(cell):
    """All that a cell left, with its error, on one line each."""
    shown = []
    for one in cell.outputs:
        if one["output_type"] == "error":
            plain = re.sub(r"\x1b\[\d+m", "", "\n".join(one["traceback"]))
            shown.append(" ".join(plain.split()))
        else:
            shown.append(one.get("text") or one["data"]["text/plain"])
    return "\n".join(shown)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Runs cells in a kernel, for all tests of this module; what each one told."""
    with Replicate() as server:
        server.tells(say("Hello"), become("succeeded", metrics=COST))
        loose = {name: {"type": "string"} for name in "abc"}
        server.models["acme/loose"] = Model(official=True, schema=openapi(None, **loose))

        def run(cells, configuration=""):
            folder = tmp_path_factory.mktemp("kernel")
            profile = folder / "ipython" / "profile_default"
            profile.mkdir(parents=True)
            (profile / "ipython_config.py").write_text(f"c = get_config()\n{configuration}\n")
            env = {
                **os.environ,
                "REPLICATE_BASE_URL": server.url,
                "REPLICATE_API_TOKEN": server.token,
                "IPYTHONDIR": str(folder / "ipython"),
                "REPLICATE_MAGIC_HOME": str(folder / "home"),
            }
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
            resources = {"metadata": {"path": str(folder)}}
            client = NotebookClient(
                notebook, timeout=60, allow_errors=True, resources=resources, kernel_name="python3"
            )
            client.execute(env=env)
            return [told(cell) for cell in notebook.cells]

        yield run


@pytest.fixture(scope="module")
def shown(kernel):
    """What became of each wrong setting, of each pair, and of unloading: by one kernel."""
    listing = "%config ReplicateMagics"
    cells = {setting: f"%config ReplicateMagics.{setting}" for setting in REFUSED}
    cells |= {"listing": listing, "import": SENT} | {name: cell for name, cell, _ in PAIRS}
    cells |= {
        "set": f"{listing}.prices = {{'acme/poet': 'gpu-t4'}}",
        "unload": "%unload_ext replicate_magic",
        "left": "from replicate_magic.settings import the_settings as s\n"
        "s().prices, s().aliases, s().budget_usd, s().replay",
    }
    return dict(zip(cells, kernel(list(cells.values())), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("setting", list(REFUSED))
def test_a_setting_that_is_none_is_refused_in_a_sentence_and_stops_the_notebook(setting, shown):
    told_of = shown[setting]

    assert told_of.startswith("SettingRefused: ReplicateMagics")
    assert REFUSED[setting] in told_of
    assert len(told_of) < 600
    assert "Traceback" not in told_of


def test_what_was_refused_stays_as_it_was_and_each_has_help_with_its_range(shown):
    listing = " ".join(shown["listing"].split())

    for told_of in (
        "timeout=<Union> A run is canceled after this. It takes a duration: 30, 90s, 5m or 1h30m.",
        "most_requests=<Int> A cell that means more requests than this wants --yes. It takes a",
        "Current: '1h'",
        "Current: 50",
        "Current: None",
        "default_model=<Unicode> The model that runs where a cell names none.",
        "Choices: any of ['auto', 'browser', 'headless', 'terminal', 'plain'] Current: 'auto'",
    ):
        assert told_of in listing
    assert listing.count("It takes") == listing.count("Current:") == 11


@pytest.mark.parametrize("pair", [name for name, _, expected in PAIRS if expected is not None])
def test_the_nearer_to_the_cell_goes_before(pair, shown):
    expected = next(expected for name, _, expected in PAIRS if name == pair)

    assert expected in shown[pair]


@pytest.mark.slow
def test_settings_come_from_the_configuration_file_too_and_misspelt_ones_are_told(kernel):
    first, second, price = kernel(
        ["%%replicate\nhi", "%config ReplicateMagics.timeout", "%replicate run p hi"],
        "c.ReplicateMagics.default_model = 'p'\nc.ReplicateMagics.aliases = {'p': 'acme/poet'}\n"
        "c.ReplicateMagics.timout = '5m'\nc.ReplicateMagic.timeout = '5m'\n"
        "c.ReplicateMagics.prices.update({'acme/poet': {'predict_time': 1.0}})",
    )

    assert "has no setting timout. Did you mean timeout?" in first
    assert "ReplicateMagic is no class with settings. Did you mean ReplicateMagics?" in first
    assert "acme/poet · succeeded" in first
    assert second == "'1h'"
    assert "has no setting" not in price
    assert "≈ $4.00" in price


@pytest.mark.slow
def test_a_wrong_one_in_the_configuration_file_stops_all_until_it_is_set_right(kernel):
    refused, again, change, works = kernel(
        [
            "%%replicate acme/poet\nhi",
            "%load_ext replicate_magic",
            "%config ReplicateMagics.timeout = '5m'",
            "%%replicate acme/poet --dry-run\nhi",
        ],
        "c.ReplicateMagics.timeout = 'soon'",
    )

    assert refused == again
    assert refused.startswith("CellError: ReplicateMagics.timeout = 'soon': soon is not a duration")
    assert refused.endswith("Set it right in ipython_config.py, or with %config.")
    assert change == ""
    assert "cancel-after: 300s" in works


def test_unloading_forgets_what_was_set_for_the_process(shown):
    assert shown["left"] == "({}, {}, None, '')"
