"""Tells of known vulnerabilities in this interpreter's environment; must not fail for being alone.

It ends with 1 where a package has one, and with 0 where none is known, or where the service that
knows them is out of reach: then it says for how many packages that could not be found out. The tool
has an environment of its own, so that its packages are neither used nor audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

DEADLINE_S = 300


def main() -> int:
    """Audit, tell, and give the exit code."""
    try:
        found = audited()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        sys.stdout.write(f"NOT AUDITED: pip-audit did not run ({type(error).__name__}).\n")
        return 0
    unknown = [one for one in found if "skip_reason" in one]
    bad = [one for one in found if one.get("vulns")]
    for one in bad:
        names = ", ".join(vulnerability["id"] for vulnerability in one["vulns"])
        fixed = {fix for each in one["vulns"] for fix in each["fix_versions"]}
        hint = f"; mended in {', '.join(sorted(fixed))}" if fixed else ""
        sys.stdout.write(f"{one['name']} {one['version']}: {names}{hint}\n")
    sys.stdout.write(f"{len(found) - len(unknown)} packages audited, {len(bad)} vulnerable.\n")
    if unknown:
        sys.stdout.write(
            f"NOT AUDITED: {len(unknown)} packages that the service told nothing of.\n"
        )
    return 1 if bad else 0


def audited() -> list[dict[str, Any]]:
    """What pip-audit tells of each package."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        quiet = ["--progress-spinner", "off", "--timeout", "10", "--format", "json"]
        run([python, "-m", "pip", "install", "--quiet", "pip-audit"]).check_returncode()
        made = run([python, "-m", "pip_audit", *quiet, "--path", sysconfig.get_path("purelib")])
    found: list[dict[str, Any]] = json.loads(made.stdout)["dependencies"]
    return found


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it, without its words."""
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


if __name__ == "__main__":
    sys.exit(main())
