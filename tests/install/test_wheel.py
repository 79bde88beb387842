"""The wheel and the source archive: what is in them, and what they do where nothing else is."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import PurePosixPath

import pytest
from environments import JUNK, pip

import replicate_magic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # packages may have to be downloaded

TOPS = ("replicate_magic", "jupyter-config", "notebooks", "tests", "README.md", "LICENSE")
EXTRAS = {
    "local": {"starlette", "uvicorn", "pillow"},
    "plot": {"matplotlib"},
    "keyring": {"keyring"},
    "lab": {"jupyterlab"},
}


def files_below(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.fixture(scope="session")
def installed(wheel, new_environment):
    """An environment with the wheel and what it requires, and nothing else."""
    environment = new_environment("installed")
    environment.install(wheel)
    return environment


def test_the_source_archive_holds_the_project_and_no_junk(tree, sdist):
    with tarfile.open(sdist) as archive:
        names = {PurePosixPath(name) for name in archive.getnames()}
        [top] = {name.parts[0] for name in names}
        inside = {name.relative_to(top).as_posix() for name in names}
        metadata = archive.extractfile(f"{top}/PKG-INFO").read().decode()
    wanted = {name for name in files_below(tree) - set(JUNK) if name.split("/")[0] in TOPS}
    assert inside == wanted | {"pyproject.toml", ".gitignore", "PKG-INFO"}
    assert {name.split("/")[0] for name in wanted} == set(TOPS)
    assert HeaderParser().parsestr(metadata)["Version"] == replicate_magic.__version__


def test_every_file_of_the_package_is_installed(tree, wheel, installed):
    assert wheel.name.endswith("py3-none-any.whl")
    assert files_below(installed.package) == files_below(tree / "replicate_magic")
    kinds = {PurePosixPath(name).suffix for name in files_below(installed.package)}
    assert {".js", ".css", ".typed"} <= kinds
    beside = {path.name for path in installed.package.parent.iterdir()}
    assert not beside & {"tests", "notebooks", "jupyter-config"}


def test_it_runs_from_there_and_its_version_is_the_metadatas(installed):
    told = installed.run(
        "-c",
        "import replicate_magic as rm, importlib.metadata as m\n"
        "print(rm.__file__, rm.__version__, m.version('replicate-magic'), sep='\\n')",
    )
    file, version, metadata = told.splitlines()
    assert file == str(installed.package / "__init__.py")
    assert version == metadata == replicate_magic.__version__


CELLS = """
import sys
print([name for name in sys.modules if name.startswith("replicate_magic")])
{first}
get_ipython().run_cell("%%replicate acme/poet\\nhi").raise_error()
get_ipython().run_cell("%replicate runs '.status == \\"succeeded\\"' --map .output").raise_error()
"""


@pytest.fixture
def cells(installed, replicate):
    """Runs the cells in a terminal's IPython; what it prints, line by line."""

    def run(first=""):
        path = installed.away / "cells.ipy"
        path.write_text(CELLS.format(first=first))
        return installed.run("-m", "IPython", path, server=replicate).splitlines()

    return run


@pytest.fixture
def no_startup_file(installed):
    """As where the package was installed into a folder and not into the environment."""
    file = installed.prefix / "etc/ipython/startup/50-replicate-magic.py"
    aside = file.rename(file.with_suffix(".aside"))
    yield
    aside.rename(file)


def test_the_startup_file_makes_the_magics_known_and_imports_nothing(cells, replicate):
    modules, *told = cells()
    assert modules == "[]"
    assert told[0] == "Hello world"
    assert "Hello" in told[-1]
    assert [seen.json["input"] for seen in replicate.seen("create")] == [{"prompt": "hi"}]


@pytest.mark.usefixtures("no_startup_file")
def test_load_ext_does_where_there_is_no_startup_file(cells):
    known = "print('replicate' in get_ipython().magics_manager.lazy_magics)"
    modules, was_known, *told = cells(f"{known}\n%load_ext replicate_magic")
    assert (modules, was_known, told[0]) == ("[]", "False", "Hello world")


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_extra_can_be_installed_alone(extra, wheel, installed):
    wanted = f"replicate-magic[{extra}] @ {wheel.as_uri()}"
    report = pip(
        "--python", installed.python, "install", "-q", "--dry-run", "--report", "-", wanted,
        env=installed.variables(),
    ).stdout  # fmt: skip
    would = {one["metadata"]["name"].lower() for one in json.loads(report)["install"]}
    assert EXTRAS[extra] <= would


def test_those_are_all_the_extras_for_users(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert set(metadata.get_all("Provides-Extra")) == {*EXTRAS, "test", "dev"}


LACKING = """
for line in ("%replicate plot", "%replicate run local/smollm2-135m-instruct hi"):
    get_ipython().run_cell(line)
"""


def test_without_the_extras_plots_and_local_models_name_what_to_install(installed):
    path = installed.away / "lacking.ipy"
    path.write_text(LACKING)
    told = " ".join(installed.run("-m", "IPython", "--colors=NoColor", path).split())
    assert "Traceback" not in told
    assert (
        'A plot needs matplotlib, which is not installed: pip install "replicate-magic[plot]"'
        in told
    )
    assert "the embedded engine needs its extra: pip install 'replicate-magic[local]'" in told


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal")
def test_without_a_keyring_a_login_holds_and_names_what_to_install(installed, replicate):
    pexpect = pytest.importorskip("pexpect")
    program = ["-c", "import replicate_magic as rm; print(rm.login())"]
    variables = {**installed.variables(replicate), "REPLICATE_API_TOKEN": ""}
    terminal = pexpect.spawn(
        str(installed.python), program, cwd=installed.away, env=variables, timeout=30,
        encoding="utf-8",
    )  # fmt: skip
    terminal.expect_exact("(it is not shown): ")
    terminal.waitnoecho()
    terminal.sendline(replicate.token)
    terminal.expect(pexpect.EOF)
    told = " ".join(terminal.before.split())
    assert "as ada (user). The token holds until this kernel ends" in told
    assert 'pip install "replicate-magic[keyring]"' in told


TYPED = """
import replicate_magic as rm

p = rm.run("owner/name", prompt="Hello", temperature=0.2)
text: str = p.text
seconds: object = p.metrics["predict_time"]
job: rm.Job = rm.start("owner/name", prompt="Hello")
paths = [file.path for file in job.wait().files if file.path is not None]
sizes: list[int] = [path.stat().st_size for path in paths]


async def main() -> rm.Prediction:
    return await rm.arun("owner/name", input={"prompt": "Hello"})
"""


def mypy(program, environment):
    """What mypy says of a program, which sees an environment's packages alone."""
    command = [
        sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=mypy",
        f"--python-executable={environment.python}", program.name,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=program.parent, env=environment.variables(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="mypy is not installed")
def test_a_users_program_is_type_checked_by_the_installed_types(installed):
    program = installed.away / "program.py"
    program.write_text(TYPED)
    assert mypy(program, installed) == "Success: no issues found in 1 source file\n"
    program.write_text(TYPED.replace("text: str = p.text", "text: int = p.text"))
    assert 'error: Incompatible types in assignment (expression has type "str"' in mypy(
        program, installed
    )
