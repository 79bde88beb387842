"""Owns asking the API one thing of any kind, page by page where it is a list; must not read it.

What only reads is asked again where that may help. Anything else is sent a second time only after a
429, or where no connection was made.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.api.operations import READING
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.api.answers import Answer
    from replicate_magic.api.client import Client
    from replicate_magic.api.protocol import APIRequest

_MOST_DELAY_S = 120.0
_UNCLEAR = (
    " It is not clear whether that was done, and it was not sent again: look before you send it "
    "again."
)


class Listed(NamedTuple):
    """A list of the API, with the results of several pages in it.

    Attributes:
        document: the first page's JSON with all results; its `next` is the last page's.
        more: whether there are more.
        elsewhere: the host of a next page that is not followed, since it is another's; else empty.
    """

    document: dict[str, Any]
    more: bool
    elsewhere: str


class Question(NamedTuple):
    """Something that is asked of the API.

    Attributes:
        client: the API.
        subject: what it is called in messages.
        tell: told what is being waited for, and how far it is.
        most_tries: how often it is asked at most.
    """

    client: Client
    subject: str
    tell: Callable[[str], None]
    most_tries: int = 4

    async def answer(self, request: APIRequest) -> Answer:
        """The good answer to a request.

        Raises:
            APIError, ConnectionFailed, UnexpectedAnswer: as their docstrings say.
        """
        reads, tries = request.method in READING, 0
        while True:
            tries += 1
            delay_s = protocol.backoff_s(tries)
            try:
                answer = await self.client.send(request)
                if answer.status < 300:
                    return answer
                if answer.status == 429:
                    delay_s = answers.retry_after_s(answer, self.client.server_time())
                raise answers.refusal(answer, subject=self.subject)
            except (errors.RateLimited, errors.ConnectionFailed) as error:
                if tries >= self.most_tries or delay_s > _MOST_DELAY_S:
                    raise
                told = str(error)
            except (errors.ServerError, errors.ConnectionLost) as error:
                if not reads:
                    error.args = (f"{error}{_UNCLEAR}",)
                if tries >= self.most_tries or not reads:
                    raise
                told = str(error)
            self.tell(f"{one_line(told, limit=120)} Asked again in {delay_s:.0f} s.")
            await asyncio.sleep(delay_s)

    async def all_pages(self, first: dict[str, Any], request: APIRequest, most_rows: int) -> Listed:
        """A list with the results of its further pages in it, up to so many.

        Args:
            first: the first page.
            request: what was asked for it.
            most_rows: how many results are enough.

        Raises:
            APIError, ConnectionFailed, UnexpectedAnswer: as their docstrings say.
        """
        base, subject = self.client.base, self.subject
        rows, page, seen = list(first["results"]), first, {f"{base}{request.path}"}
        while len(rows) < most_rows and (url := next_page(page, base)) and url not in seen:
            seen.add(url)
            self.tell(f"{subject}: {len(rows):,} so far")
            page = answers.read_object(
                await self.answer(replace(request, path=url)), subject=subject
            )
            if not isinstance(page.get("results"), list):
                raise errors.UnexpectedAnswer(f"{subject}: a further page of it is no list.")
            rows += page["results"]
        return Listed(
            document={**first, "next": page.get("next"), "results": rows[:most_rows]},
            more=len(rows) > most_rows or bool(page.get("next")),
            elsewhere="" if next_page(page, base) else _host(page.get("next")),
        )


def next_page(page: Mapping[str, Any], base: str) -> str | None:
    """The next page's URL, if it is on the API's own host.

    Replicate's description has an example whose `next` is plain http: it is asked by https, as the
    API itself is, and is never sent the token without.
    """
    url = page.get("next")
    if isinstance(url, str) and base.startswith("https://"):
        page = {**page, "next": re.sub(r"^http://", "https://", url)}
    return protocol.next_page(page, base)


def _host(url: Any) -> str:
    return protocol.origin(url)[1] if isinstance(url, str) else ""
