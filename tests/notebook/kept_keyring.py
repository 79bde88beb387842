"""A keyring for kernels of the tests, which outlives them; `KEPT_KEYRING` names its file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class KeptKeyring(KeyringBackend):
    """What it keeps is written backwards, so that a search for it finds no other file's."""

    priority = 5

    @property
    def _path(self):
        return Path(os.environ["KEPT_KEYRING"])

    def _kept(self):
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def get_password(self, service, username):
        kept = self._kept().get(f"{service} {username}")
        return kept and kept[::-1]

    def set_password(self, service, username, password):
        kept = {**self._kept(), f"{service} {username}": password[::-1]}
        self._path.write_text(json.dumps(kept))

    def delete_password(self, service, username):
        kept = self._kept()
        del kept[f"{service} {username}"]
        self._path.write_text(json.dumps(kept))
