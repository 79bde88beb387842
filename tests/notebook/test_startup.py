"""How the magics become known, and how they go."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

OURS = "[name for name in __import__('sys').modules if name.startswith('replicate_magic')]"
STARTUP = "50-replicate-magic.py"


def test_a_bare_kernel_knows_the_magic_and_has_imported_nothing_of_ours(execute):
    modules, known, names = execute(
        OURS,
        "'replicate' in get_ipython().magics_manager.lazy_magics",
        "[name for name in dir() if 'replicate' in name.lower()]",
    )
    assert modules.text == "[]"
    assert known.text == "True"
    assert names.text == "[]"


def test_the_first_cell_works_without_load_ext(execute):
    [cell] = execute("%%replicate acme/poet\nhi")
    assert cell.text.startswith("Hello world")


def test_loading_prints_nothing_and_imports_no_heavy_library(execute):
    heavy = "{'httpx', 'pandas', 'anywidget', 'jq', 'nh3', 'markdown_it', 'starlette', 'ssl'}"
    before, load, again, after = execute(
        f"import sys; had = set(sys.modules) & {heavy}",
        "%load_ext replicate_magic",
        "%load_ext replicate_magic",
        f"sorted((set(sys.modules) & {heavy}) - had)",
    )
    assert before.raw == load.raw == []
    assert "already loaded" in again.text
    assert after.text == "[]"


@pytest.mark.slow
def test_unloading_takes_the_magics_the_loop_and_the_lazy_entry_away(execute):
    _, unload, cell, threads, again, works = execute(
        "%%replicate acme/poet -q\nhi",
        "%unload_ext replicate_magic",
        "%%replicate acme/poet\nhi",
        "[t.name for t in __import__('threading').enumerate() if 'replicate' in t.name]",
        "%load_ext replicate_magic",
        "%%replicate acme/poet\nhi",
    )
    assert unload.raw == again.raw == []
    assert "Cell magic `%%replicate` not found" in cell.text
    assert threads.text == "[]"
    assert works.text.startswith("Hello world")


def test_the_magic_documents_itself(execute):
    magic = "get_ipython().find_cell_magic('replicate')"
    [cell] = execute(f"get_ipython().inspector.info({magic})['docstring']")
    assert "--dry-run" in cell.text
    assert "Examples" in cell.text


def test_this_installation_has_the_startup_file():
    assert (Path(sys.prefix) / "etc" / "ipython" / "startup" / STARTUP).is_file()
