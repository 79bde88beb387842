"""Owns which files of a run are moved: inputs to the API, outputs to disk; must not say how."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from replicate_magic.api.files import Previews
from replicate_magic.api.savings import Savings
from replicate_magic.cell.files import MOST_FILE_BYTES
from replicate_magic.cell.objects import LargeFile, SentFile
from replicate_magic.errors import InputError
from replicate_magic.prediction import Fetched
from replicate_magic.progress import Progress
from replicate_magic.runs.history import outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from replicate_magic.api.client import Client
    from replicate_magic.api.downloads import Downloads
    from replicate_magic.api.uploads import Memory, Upload
    from replicate_magic.order import Conditions
    from replicate_magic.prediction import Event


async def sent_ahead(
    client: Client,
    given: Mapping[str, Any],
    memory: Memory,
    conditions: Conditions,
    tell: Callable[[Event], None],
) -> dict[str, Any]:
    """An input with addresses in place of the files that are too large for it.

    Args:
        client: of the API where the files will lie.
        given: the input.
        memory: what lies there already.
        conditions: say when the run began.
        tell: handed events that say how far it is.

    Raises:
        InputError: a file cannot be read, is too large, or changed meanwhile.
        APIError, ConnectionFailed, UnexpectedAnswer: it could not be sent.
    """
    large = list(_large_files(dict(given)))
    if not large:
        return dict(given)
    from replicate_magic.api.uploads import Uploads

    uploads = Uploads(client, memory)
    progress = Progress("up", tell, lambda: conditions.at_s)

    async def address(file: LargeFile) -> SentFile:
        with next(ways) as way:
            url = await uploads.url_of(_upload_of(file), way.told, way.again)
        return SentFile(url, uploads.digests[url])

    async def addressed(value: Any) -> Any:
        match value:
            case LargeFile():
                return await address(value)
            case list():
                return [await addressed(one) for one in value]
            case dict():
                return {key: await addressed(one) for key, one in value.items()}
        return value

    with ExitStack() as all_ways:  # all count from the beginning, and are sent in this order
        begun = [all_ways.enter_context(progress.begin(file.name)) for file in large]
        ways = iter(begun)
        return {name: await addressed(value) for name, value in given.items()}


async def hashed(given: Mapping[str, Any]) -> dict[int, str]:
    """The sha256 of the large files of an input that is not to be sent yet, by `id`.

    Raises:
        InputError: a file cannot be read, or is too large to be sent.
    """
    large = list(_large_files(dict(given)))
    if not large:
        return {}
    from replicate_magic.api.uploads import sha256_of

    return {id(file): await sha256_of(_upload_of(file)) for file in large}


async def written_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """An input with `data:` URLs in place of large files, for where nothing can be sent ahead.

    Raises:
        InputError: a file cannot be read, or is too large.
    """

    async def written(value: Any) -> Any:
        match value:
            case LargeFile():
                return await asyncio.to_thread(_data_url, value)
            case list():
                return [await written(one) for one in value]
            case dict():
                return {key: await written(one) for key, one in value.items()}
        return value

    return {name: await written(value) for name, value in given.items()}


def _upload_of(file: LargeFile) -> Upload:
    """The file as it is uploaded."""
    from replicate_magic.api.uploads import Upload

    return Upload(name=file.name, media_type=file.media_type, path=file.path, data=file.data)


def _data_url(file: LargeFile) -> SentFile:
    data = file.data or b""
    try:
        if file.path is not None and file.path.stat().st_size <= MOST_FILE_BYTES:
            data = file.path.read_bytes()
        elif file.path is not None:
            raise InputError(
                f"{file.name} has more than {MOST_FILE_BYTES:,} bytes, too many for a request. Put "
                "it at an address that the server reaches, and give that. Nothing was run."
            )
    except OSError as error:
        raise InputError(f"{file.name}: {error.strerror or error}. Nothing was run.") from error
    encoded = base64.b64encode(data).decode()
    return SentFile(f"data:{file.media_type};base64,{encoded}", hashlib.sha256(data).hexdigest())


def _large_files(value: Any) -> Iterator[LargeFile]:
    """The large files in a value, in its order."""
    match value:
        case LargeFile():
            yield value
        case list():
            for one in value:
                yield from _large_files(one)
        case dict():
            for one in value.values():
                yield from _large_files(one)


def fetcher(
    client: Client, conditions: Conditions, tell: Callable[[Event], None], *, previewed: bool
) -> Savings | Previews:
    """What fetches a run's files: to disk, or only to be drawn.

    Args:
        client: the API that ran it.
        conditions: say where they are saved.
        tell: handed the event of each file, and those that say how far they are.
        previewed: whether pictures are drawn.
    """
    saving = conditions.saving
    if saving is None:
        return Previews(client, lambda file: tell(Fetched(file=file, at_s=conditions.at_s)))

    def downloads() -> Downloads:
        from replicate_magic.api.downloads import Downloads  # most runs give no files

        return Downloads(
            client,
            saving.folder or outputs(),
            most_bytes=saving.most_bytes,
            most_in_all_bytes=saving.most_in_all_bytes,
            names="plain" if saving.folder else "content",
        )

    progress = Progress("down", tell, lambda: conditions.at_s)
    return Savings(
        downloads,
        progress,
        lambda saved: tell(Fetched(file=saved.file, trouble=saved.trouble, at_s=conditions.at_s)),
        previewed=previewed,
    )
