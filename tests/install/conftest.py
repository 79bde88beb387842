"""The project as its users get it: built, and installed into environments of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from environments import JUNK, Environment, pip
from replicate_server import Replicate

ROOT = Path(__file__).parents[2]
NOT_OF_THE_PROJECT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "__pycache__", "*.egg-info", ".ipynb_checkpoints", ".*_cache",
    ".hypothesis", ".env",
)  # fmt: skip


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A copy of the project, as a folder looks in which somebody works."""
    copy = tmp_path_factory.mktemp("tree") / "copy"
    shutil.copytree(ROOT, copy, ignore=NOT_OF_THE_PROJECT)
    for name in JUNK:
        copy.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        copy.joinpath(name).write_text("REPLICATE_API_TOKEN=r8_of_somebody")
    return copy


@pytest.fixture(scope="session")
def sdist(tree, tmp_path_factory):
    """The source archive, built by the project's own build backend (PEP 517)."""
    tools, out = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("sdist")
    described = tomllib.loads((tree / "pyproject.toml").read_text())["build-system"]
    pip("install", "-q", "--target", tools, *described["requires"])
    hook = f"from {described['build-backend']} import build_sdist; build_sdist({str(out)!r})"
    variables = {**os.environ, "PYTHONPATH": str(tools)}
    subprocess.run([sys.executable, "-c", hook], cwd=tree, env=variables, check=True)
    [archive] = out.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory):
    """The wheel, built from the source archive as an index's users would."""
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "-q", "--no-deps", "-w", out, sdist)
    [file] = out.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory):
    """Makes environments, without pip."""

    def make(name):
        prefix = tmp_path_factory.mktemp(name)
        venv.create(prefix, with_pip=False, symlinks=os.name != "nt")
        return Environment(prefix=prefix, away=tmp_path_factory.mktemp(f"{name}-away"))

    return make


@pytest.fixture
def replicate():
    with Replicate() as server:
        yield server
