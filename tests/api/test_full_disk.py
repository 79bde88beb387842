"""A home on a disk that is full: a run succeeds, and what could not be kept is told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from replicate_server import Model, become, openapi

import replicate_magic as rm
from replicate_magic import session
from replicate_magic.runs.history import HistoryWarning

FILE = {"type": "string", "format": "uri"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200_000)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk"
)


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this root may not mount")
    monkeypatch.setenv("REPLICATE_MAGIC_HOME", str(folder))
    with pytest.raises(OSError, match="space"):
        (folder / "filler").write_bytes(bytes(2_000_000))
    yield folder
    session.close()
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_harms_no_run_and_is_left_as_it_was(full_disk, replicate):
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(FILE))
    replicate.files["out.png"] = ("image/png", PNG)
    replicate.tells(become("succeeded", output=f"{replicate.other_url}/files/out.png"))
    with pytest.warns(HistoryWarning, match="Runs are kept in memory"):
        prediction = rm.run("acme/painter", prompt="x")
    assert rm.run("acme/painter", prompt="y").ok

    assert prediction.ok
    assert prediction.files[0].path is None
    assert "No space left on device" in prediction.unsaved[0]
    assert rm.runs()["prompt"].tolist() == ["y", "x"]
    assert len(replicate.seen("model")) == 1
    session.close()
    assert [one for one in full_disk.rglob("*") if one.name.endswith((".tmp", ".part"))] == []
    assert list((full_disk / "schemas").glob("*")) == []

    (full_disk / "filler").unlink()
    assert rm.run("acme/painter", prompt="z").files[0].path.read_bytes() == PNG
    session.close()
    assert len(list((full_disk / "schemas").glob("*.json"))) == 1
