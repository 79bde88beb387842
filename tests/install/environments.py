"""Virtual environments of the tests' own; packages come from where pip is told to look."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_CONSTRAINT", "REPLICATE_MAGIC_SCREENSHOTS")
JUNK = (
    "notebooks/.env",  # where the token may be
    "notebooks/.ipynb_checkpoints/quickstart-checkpoint.ipynb",
    "replicate_magic/__pycache__/errors.pyc",
    "tests/.pytest_cache/README.md",
    "tests/.hypothesis/example",
    "build/screenshots/card.png",
    "dist/old.whl",
    ".venv/pyvenv.cfg",
)
"""What a folder has in it where somebody works, and no archive should."""


def pip(*arguments, **named):
    """This environment's pip, which writes to others."""
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, **named)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment, and a folder to work in that has nothing of ours near it."""

    prefix: Path
    away: Path

    @property
    def python(self):
        return self.prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def package(self):
        """The installed package's folder."""
        return next(self.prefix.rglob("site-packages/replicate_magic"))

    def variables(self, server=None):
        """Its programs' environment: no source, no token, no history, and perhaps a server."""
        kept = {name: value for name, value in os.environ.items() if name not in OURS}
        own = {"REPLICATE_MAGIC_HOME": self.away / "home", "IPYTHONDIR": self.away / "ipython"}
        own = {name: str(path) for name, path in own.items()}
        if server is None:
            return {**kept, **own}
        to = {"REPLICATE_BASE_URL": server.url, "REPLICATE_API_TOKEN": server.token}
        return {**kept, **own, **to}

    def install(self, *requirements):
        pip(
            "--python",
            self.python,
            "install",
            "-q",
            "--no-compile",
            *requirements,
            env=self.variables(),
        )

    def run(self, *arguments, server=None):
        """What a program of its Python prints."""
        done = subprocess.run(
            [self.python, *map(str, arguments)], cwd=self.away, env=self.variables(server),
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
