"""Owns which files of a run are moved: inputs ahead to the API, outputs to disk; not how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic.api.files import Previews
from replicate_magic.api.savings import Savings
from replicate_magic.cell.objects import LargeFile
from replicate_magic.plain import one_line
from replicate_magic.prediction import Fetched
from replicate_magic.runs.history import outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.api.client import Client
    from replicate_magic.api.downloads import Downloads
    from replicate_magic.api.uploads import Memory
    from replicate_magic.order import Conditions


async def sent_ahead(
    client: Client, given: Mapping[str, Any], memory: Memory, tell: Callable[[str], None]
) -> dict[str, Any]:
    """An input with addresses in place of the files that are too large for it.

    Args:
        client: of the API where the files will lie.
        given: the input.
        memory: what lies there already.
        tell: told how far it is.

    Raises:
        InputError: a file cannot be read, is too large, or changed meanwhile.
        APIError, ConnectionFailed, UnexpectedAnswer: it could not be sent.
    """
    if not any(map(_holds_large, given.values())):
        return dict(given)
    from replicate_magic.api.uploads import Upload, Uploads

    uploads = Uploads(client, memory)

    async def address(value: Any) -> Any:
        match value:
            case LargeFile():
                name = one_line(value.name, limit=60)

                def told(sent: int, total: int) -> None:
                    tell(f"sending {name} ahead, {100 * sent // max(total, 1)} %")

                upload = Upload(
                    name=value.name, media_type=value.media_type, path=value.path, data=value.data
                )
                return await uploads.url_of(upload, told)
            case list():
                return [await address(one) for one in value]
            case dict():
                return {key: await address(one) for key, one in value.items()}
        return value

    return {name: await address(value) for name, value in given.items()}


def _holds_large(value: Any) -> bool:
    match value:
        case LargeFile():
            return True
        case list():
            return any(map(_holds_large, value))
        case dict():
            return any(map(_holds_large, value.values()))
    return False


def fetcher(
    client: Client, conditions: Conditions, tell: Callable[[Fetched], None], *, previewed: bool
) -> Savings | Previews:
    """What fetches a run's files: to disk, or only to be drawn.

    Args:
        client: the API that ran it.
        conditions: say where they are saved.
        tell: handed the event of each file.
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

    return Savings(
        downloads,
        lambda saved: tell(Fetched(file=saved.file, trouble=saved.trouble, at_s=conditions.at_s)),
        previewed=previewed,
    )
