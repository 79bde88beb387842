"""Uploaded files."""

import hashlib
import json
import random
from datetime import datetime, timedelta
from itertools import zip_longest

import httpx
import pytest

CONTENT = bytes(range(256)) * 4 + b"\r\n--x\r\n\r\n"


@pytest.fixture
def uploaded(api):
    files = {
        "content": ("pïcture.png", CONTENT, "image/png"),
        "metadata": (None, json.dumps({"a": 1}), "application/json"),
    }
    answer = api.post("/files", files=files)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_uploaded_file_fits_the_schema(uploaded, fits):
    fits("file", uploaded)
    assert uploaded["name"] == "pïcture.png"
    assert uploaded["content_type"] == "image/png"
    assert uploaded["size"] == len(CONTENT)
    assert uploaded["metadata"] == {"a": 1}
    assert uploaded["etag"]


def test_its_checksums_are_those_of_the_content(uploaded):
    assert uploaded["checksums"] == {
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "md5": hashlib.md5(CONTENT).hexdigest(),
    }


def test_it_expires_after_a_day(uploaded):
    kept = [datetime.fromisoformat(uploaded[name]) for name in ("created_at", "expires_at")]
    assert kept[1] - kept[0] == timedelta(hours=24)


def test_it_can_be_shown_and_listed(api, uploaded):
    assert api.get(uploaded["urls"]["get"]).json() == uploaded
    assert api.get("/files").json()["results"][0] == uploaded


def test_it_can_be_downloaded_byte_for_byte(api, uploaded):
    answer = api.get(f"/files/{uploaded['id']}/download")
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_two_may_download_it_at_once(api):
    content = random.Random(1).randbytes(3_000_001)
    file = api.post("/files", files={"content": content}).json()
    path = f"/files/{file['id']}/download"
    with api.client.stream("GET", path) as one, api.client.stream("GET", path) as other:
        chunks = list(zip_longest(one.iter_raw(), other.iter_raw(), fillvalue=b""))
    assert [b"".join(read) for read in zip(*chunks, strict=True)] == [content, content]


@pytest.mark.parametrize("signature", ["x", "", "é"])
def test_a_wrong_signature_downloads_nothing(engine, uploaded, signature):
    params = {"owner": "local", "expiry": "9999999999", "signature": signature}
    url = f"{engine.base_url}/v1/files/{uploaded['id']}/download"
    assert httpx.get(url, params=params).status_code in {401, 404}


def test_a_deleted_file_is_gone(api, uploaded):
    assert api.delete(f"/files/{uploaded['id']}").status_code == 204
    assert api.get(uploaded["urls"]["get"]).json() == {"detail": "File not found", "status": 404}
    assert api.delete(f"/files/{uploaded['id']}").status_code == 404


def test_more_than_100_mb_is_refused(api):
    answer = api.post("/files", files={"content": b"x" * (100 * 1024 * 1024 + 1)})
    assert answer.status_code == 413
    assert answer.json()["detail"] == "Files must be less than 100MB in size"


def test_huge_metadata_is_refused(api):
    metadata = json.dumps({"a": "x" * 70_000})
    files = {"content": b"x", "metadata": (None, metadata, "application/json")}
    assert api.post("/files", files=files).status_code == 413


def test_a_form_without_content_is_a_400(api):
    assert api.post("/files", files={"other": b"x"}).status_code == 400


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data"])
def test_what_is_no_form_is_a_400(api, content_type):
    answer = api.post("/files", content=b"x", headers={"content-type": content_type})
    assert answer.status_code == 400
