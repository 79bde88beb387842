"""The browser of `browsers`, as fixtures of this folder, whose tests all need one."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsers import browser, expect, installed, open_notebook, replicate, servers

__all__ = ["browser", "expect", "installed", "open_notebook", "replicate", "servers"]
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
