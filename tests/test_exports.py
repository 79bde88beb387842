"""The public names, and what the first import costs."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import replicate_magic
from replicate_magic import errors

HEAVY = {"httpx", "pandas", "numpy", "anywidget", "ipywidgets", "jq", "nh3", "markdown_it"}
HEAVY |= {"starlette", "uvicorn", "xllamacpp", "sqlite3", "replicate_magic.session"}
HEAVY |= {"replicate_magic.local", "replicate_magic.api.client", "replicate_magic.views.html"}

SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
"""
LOADED = f"{SHELL}shell.run_line_magic('load_ext', 'replicate_magic')"


@pytest.fixture(scope="module")
def loaded():
    """Gives the modules that a fresh interpreter has after running some code."""

    def run(code):
        report = "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code + report],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=Path(replicate_magic.__file__).parents[1],
        )
        assert done.returncode == 0, done.stderr
        *printed, modules = done.stdout.splitlines()
        return set(json.loads(modules)), printed

    return run


@pytest.fixture(scope="module")
def bare_shell(loaded):
    return loaded(SHELL)[0]


def test_the_public_names_are_sorted_and_unique():
    names = replicate_magic.__all__

    assert names == sorted(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", replicate_magic.__all__)
def test_every_public_name_is_there(name):
    assert getattr(replicate_magic, name).__name__.removeprefix("replicate_magic.") == name


def test_runs_is_a_function_though_a_package_has_its_name(home):
    import replicate_magic.runs.store

    assert "since" in inspect.signature(replicate_magic.runs).parameters
    assert len(replicate_magic.runs(limit=1)) == 0
    assert replicate_magic.runs.store.Store


def test_every_error_is_public_and_in_the_tree():
    drawn = errors.__doc__

    assert set(errors.__all__) <= set(replicate_magic.__all__)
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.ReplicateMagicError)
        assert name in drawn


def test_every_error_class_is_listed():
    found = {n for n, value in vars(errors).items() if isinstance(value, type) and n[0].isupper()}

    assert {n for n in found if issubclass(getattr(errors, n), Exception)} == set(errors.__all__)


def test_types_and_names_agree():
    tree = ast.parse(Path(replicate_magic.__file__).read_text("utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name
        for node in guarded.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("replicate_magic")
        for alias in node.names
    }
    assert imported == set(replicate_magic.__all__)


@pytest.mark.parametrize("name", ["Predicton", "nothing", "_private", "__wrapped__", ""])
def test_an_unknown_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match="module 'replicate_magic' has no attribute"):
        getattr(replicate_magic, name)
    assert not hasattr(replicate_magic, name)


def test_dir_lists_the_public_names():
    names = dir(replicate_magic)

    assert set(replicate_magic.__all__) <= set(names)
    assert {"load_ipython_extension", "unload_ipython_extension", "__version__"} <= set(names)
    assert names == sorted(names)


def test_a_star_import_gives_the_public_names():
    names = {}
    exec("from replicate_magic import *", names)

    assert set(replicate_magic.__all__) <= set(names)


def test_importing_the_package_imports_nothing_else(loaded):
    bare, _ = loaded("")
    modules, printed = loaded("import replicate_magic")

    assert {name for name in modules - bare if "." in name and "replicate" in name} == set()
    assert modules & HEAVY == set()
    assert printed == []


def test_errors_and_predictions_cost_nothing(loaded):
    modules, _ = loaded("import replicate_magic as rm; rm.Prediction, rm.PredictionFailed; dir(rm)")

    assert modules & HEAVY == set()
    assert "IPython" not in modules


def test_loading_the_extension_imports_nothing_heavy_and_prints_nothing(loaded, bare_shell):
    modules, printed = loaded(LOADED)

    assert (modules - bare_shell) & HEAVY == set()
    assert "replicate_magic.notebook.magics" in modules
    assert printed == []


def test_the_lazy_entry_imports_nothing_of_ours(loaded):
    entry = Path(replicate_magic.__file__).parents[1] / "jupyter-config" / "startup"
    (startup,) = entry.glob("*.py")
    code = f"shell.safe_execfile({str(startup)!r}, {{'get_ipython': lambda: shell}})"
    check = "assert shell.magics_manager.lazy_magics['replicate'] == 'replicate_magic'"
    modules, printed = loaded(f"{SHELL}{code}\n{check}")

    assert not any(name.startswith("replicate_magic") for name in modules)
    assert printed == []


def test_help_and_mistakes_need_nothing_heavy(loaded, bare_shell):
    code = (
        LOADED
        + """
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()):
    shell.run_cell("%replicate help")
    shell.run_cell("%%replicate a/b --nonsense\\nx")
    shell.run_cell("%%replicate not_a_model\\nx")
"""
    )
    modules, _ = loaded(code)

    assert (modules - bare_shell) & HEAVY == set()


def test_unloading_takes_the_magics_away(loaded):
    code = (
        LOADED
        + """
assert shell.find_line_magic("replicate") and shell.find_cell_magic("replicate")
shell.run_line_magic("unload_ext", "replicate_magic")
assert not shell.find_line_magic("replicate") and not shell.find_cell_magic("replicate")
"""
    )
    modules, printed = loaded(code)

    assert "replicate_magic.session" not in modules
    assert printed == []
