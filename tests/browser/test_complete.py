"""Completion and help as they are seen in a page, by a kernel that has loaded nothing."""

from __future__ import annotations

import pytest
from front_end import WAIT_S

LINE_PX = 26  # one line of a list, and not two


@pytest.fixture
def type_into(open_notebook):
    """Opens an empty cell and types into it, key by key; the notebook."""

    def type_(text, application="lab", **kind):
        notebook = open_notebook([""], application, **kind)
        notebook.page.locator(".jp-Notebook-cell .cm-content").first.click()
        notebook.page.keyboard.type(text, delay=20)
        return notebook

    return type_


def listed(notebook):
    """The completions that are shown, each with its note."""
    items = notebook.page.locator(".jp-Completer .jp-Completer-item")
    items.first.wait_for(timeout=WAIT_S * 1000)
    for note in notebook.page.locator(".jp-Completer .jp-Completer-typeExtended").all()[:10]:
        assert note.bounding_box()["height"] < LINE_PX
    return {
        item.locator(".jp-Completer-match").inner_text(): plain(
            item.locator(".jp-Completer-typeExtended").inner_text()
        )
        for item in items.all()
    }


def plain(note):
    """A note without what keeps it on one line; JupyterLab writes it in small letters."""
    return note.replace("\u2060", "").replace("\u00a0", " ")


def text_of(notebook):
    return notebook.page.locator(".jp-Notebook-cell .cm-content").first


@pytest.mark.parametrize("application", ["lab", "notebook"])
def test_models_and_their_inputs_are_listed_with_notes(type_into, application, expect):
    notebook = type_into("%%replicate lo", application)
    notebook.page.keyboard.press("Tab")
    assert listed(notebook) == dict.fromkeys(
        ["local/smollm2-135m-instruct", "local/waifu2x"],
        "runs on this machine, without an account",
    )
    notebook.shot(f"complete-models-{application}")
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("Enter")
    expect(text_of(notebook)).to_have_text("%%replicate local/waifu2x")
    notebook.page.keyboard.type(" ")
    notebook.page.keyboard.press("Tab")
    found = listed(notebook)
    notebook.shot(f"complete-inputs-{application}")
    assert list(found)[:3] == ["image=", "scale=", "noise="]
    assert found["noise="].startswith("integer, -1 to 3, default -1 · how strongly noise")
    notebook.page.keyboard.type("noi")
    assert next(iter(listed(notebook))) == "noise="
    notebook.page.keyboard.press("Enter")
    expect(text_of(notebook)).to_have_text("%%replicate local/waifu2x noise=")


def test_a_model_is_found_by_a_part_of_its_name(type_into, expect):
    notebook = type_into("%%replicate waifu")
    notebook.page.keyboard.press("Tab")
    assert list(listed(notebook)) == ["local/waifu2x"]
    notebook.page.keyboard.press("Enter")
    expect(text_of(notebook)).to_have_text("%%replicate local/waifu2x")


def test_what_is_typed_goes_on_in_the_list(type_into, expect):
    notebook = type_into("%replicate ")
    notebook.page.keyboard.press("Tab")
    assert "runs" in listed(notebook)
    notebook.page.keyboard.type("expo")
    assert next(iter(listed(notebook))) == "export"
    notebook.shot("complete-commands")
    notebook.page.keyboard.press("Enter")
    expect(text_of(notebook)).to_have_text("%replicate export")


def test_a_prompt_lists_nothing_and_its_expressions_the_variables(type_into, expect):
    notebook = type_into("%%replicate local/smollm2-135m-instruct\nHello na")
    notebook.value("globals().update(nation='x', nations=[1])")
    notebook.page.keyboard.press("Tab")
    notebook.page.keyboard.type(" {{nat")
    notebook.page.keyboard.press("Tab")
    assert listed(notebook) == {"nation": "str", "nations": "list"}
    notebook.shot("complete-variables")
    notebook.page.keyboard.press("Enter")
    expect(text_of(notebook)).to_contain_text("Hello na {{nation")


@pytest.mark.parametrize("application", ["lab", "notebook"])
def test_shift_tab_shows_the_help(type_into, application, expect):
    notebook = type_into("%%replicate", application)
    notebook.page.keyboard.press("Shift+Tab")
    tooltip = notebook.page.locator(".jp-Tooltip-content")
    expect(tooltip).to_contain_text("%%replicate MODEL [MODEL …] [key=value …] [options]")
    expect(tooltip).to_contain_text("--dry-run")
    expect(tooltip).to_contain_text("Name three fruits that begin with {{letter}}.")
    notebook.shot(f"help-{application}")


def test_a_call_of_the_api_is_written_from_lists(type_into, expect):
    notebook = type_into("%replicate api GET /mo")
    notebook.page.keyboard.press("Tab")
    assert listed(notebook)["/models/{model_owner}/{model_name}"] == "get a model"
    notebook.shot("complete-api")
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("Enter")
    expect(text_of(notebook)).to_have_text("%replicate api GET /models/{model_owner}/{model_name}")
    notebook.page.keyboard.type(" ")
    notebook.page.keyboard.press("Tab")
    assert next(iter(listed(notebook))) == "model="
    notebook.page.keyboard.press("Enter")
    expect(text_of(notebook)).to_contain_text("{model_name} model=")
