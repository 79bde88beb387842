"""Files that were uploaded or that models made: kept for a day, signed for download.

Handles no requests. Contents are in unnamed temporary files, which end with the process. `store`
may run in any thread, all else lives on the event loop's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode

from .model import OWNER, File
from .predictions import new_id, now
from .wire import timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEEP = timedelta(hours=24)
# Each is an open file, of which macOS grants a process 256.
KEEP_FILES = 100
KEEP_BYTES = 2 * 1024**3
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file's facts, and its content on disk."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    md5: str
    metadata: dict[str, Any]
    created_at: datetime
    content: IO[bytes]

    @property
    def expires_at(self) -> datetime:
        """When it will be forgotten."""
        return self.created_at + KEEP

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content, a megabyte at a time, for any number of readers at once."""
        for offset in range(0, self.size_bytes, CHUNK_BYTES):
            # Not in a thread: between these two lines nobody else may move the position.
            self.content.seek(offset)
            yield self.content.read(CHUNK_BYTES)


def store(file: File, *, metadata: dict[str, Any] | None = None) -> StoredFile:
    """Write *file* to disk, and measure it. Takes a while for a large one."""
    content = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the record
    try:
        content.write(file.content)
        content.flush()
    except OSError:
        content.close()
        raise
    return StoredFile(
        id=new_id(),
        name=file.name,
        media_type=file.media_type,
        size_bytes=len(file.content),
        sha256=hashlib.sha256(file.content).hexdigest(),
        md5=hashlib.md5(file.content, usedforsecurity=False).hexdigest(),
        metadata=metadata or {},
        created_at=now(),
        content=content,
    )


class Files:
    """The newest files of this engine: at most 100, of 2 GB together."""

    def __init__(self) -> None:
        self._by_id: dict[str, StoredFile] = {}
        self._secret = secrets.token_bytes(32)

    def add(self, file: StoredFile) -> None:
        """Keep *file*, and forget the oldest ones where that makes too many."""
        self._by_id[file.id] = file
        while len(self._by_id) > KEEP_FILES or self._size_bytes() > KEEP_BYTES:
            self.remove(next(iter(self._by_id)))

    def get(self, file_id: str) -> StoredFile | None:
        """The file with this id."""
        self.sweep(now())
        return self._by_id.get(file_id)

    def remove(self, file_id: str) -> None:
        """Forget a file."""
        self._by_id.pop(file_id).content.close()

    def close(self) -> None:
        """Forget everything."""
        for file_id in list(self._by_id):
            self.remove(file_id)

    def newest_first(self) -> list[StoredFile]:
        """All files, the last one first."""
        self.sweep(now())
        return list(reversed(self._by_id.values()))

    def sweep(self, at: datetime) -> None:
        """Forget what expired before *at*."""
        for file in list(self._by_id.values()):
            if file.expires_at > at:
                return
            self.remove(file.id)

    def signed_path(self, file: StoredFile) -> str:
        """The download path that needs no token, valid until the file expires."""
        expiry = str(int(file.expires_at.timestamp()))
        query = {"owner": OWNER, "expiry": expiry, "signature": self._sign(file.id, expiry)}
        return f"/v1/files/{file.id}/download?{urlencode(query)}"

    def is_signed(self, file_id: str, *, owner: str, expiry: str, signature: str) -> bool:
        """Whether a download's query is one that `signed_path` made and that is still valid."""
        known = hmac.compare_digest(signature.encode(), self._sign(file_id, expiry).encode())
        return known and owner == OWNER and int(expiry) > now().timestamp()

    def _size_bytes(self) -> int:
        return sum(file.size_bytes for file in self._by_id.values())

    def _sign(self, file_id: str, expiry: str) -> str:
        text = f"{OWNER} {file_id} {expiry}".encode()
        return base64.b64encode(hmac.digest(self._secret, text, "sha256")).decode()


def file_json(file: StoredFile, base_url: str) -> dict[str, Any]:
    """The file as the API sends it."""
    return {
        "id": file.id,
        "name": file.name,
        "content_type": file.media_type,
        "size": file.size_bytes,
        "etag": file.md5,
        "checksums": {"sha256": file.sha256, "md5": file.md5},
        "metadata": file.metadata,
        "created_at": timestamp(file.created_at),
        "expires_at": timestamp(file.expires_at),
        "urls": {"get": f"{base_url}/v1/files/{file.id}"},
    }
