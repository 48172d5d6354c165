"""Third-party services over HTTP: patient with what passes, strict about what an answer is.

Asked again: 429 and 5xx (after what Retry-After says), time-outs, broken connections, answers that are cut off or no
JSON. A service's other refusals are final. An answer in pages counts only as a whole: what its pages say of
themselves, and what they hold, has to fit.

Of World Bank Indicators v2 one has to know: errors come with status 200, as `[{"message": [...]}]`; a BOM may come
first; now and then a good request gets status 400 with a page of HTML, and is answered well the next time.
Of Frankfurter v1: its ETag stands for the last date in the answer alone, so that a corrected rate does not change it.
"""

import asyncio
from asyncio import sleep
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any, TypeVar

import httpx
import msgspec
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from ingestion.endpoints import Endpoint
from ingestion.landing import SourceError

AT_ONCE = 4  # requests to one service
TRIES, LISTING_TRIES = 5, 3
MOST_PAGES = 1000  # of one listing; more is a mistake
ANSWER_SECONDS = 60.0  # one attempt, to the last byte: the World Bank was seen to need 45
CONNECT_SECONDS = 10.0
RETRY_AFTER_SECONDS = 60.0  # the most that a service can make us wait before we ask again
TOTAL_SECONDS = 900.0  # all that one table asks for, waits included: some 60 pages of 15 s, 4 at once, take 225 s

_UNKNOWN = {"120", "175"}  # the World Bank's codes for an indicator that does not exist, or no longer does
_BACKOFF = wait_exponential_jitter(initial=1, max=30)
_json = msgspec.json.Decoder(float_hook=Decimal)  # numbers keep all their digits
T = TypeVar("T")


class NoAnswer(SourceError):
    """A service did not give a good answer. The message names the address."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(f"{url}: {what}")


class _Passing(NoAnswer):
    """It may be better the next time."""

    def __init__(self, url: str, what: str, *, retry_after: float = 0) -> None:
        super().__init__(url, what)
        self.retry_after = retry_after


class _PagesDisagree(NoAnswer):
    """The pages do not make one whole: they are read again from the first."""


class _Unknown(NoAnswer):
    """The service does not know what it was asked for."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(url, what)
        self.what = what


@dataclass(frozen=True)
class Answer:
    """One answer as it came."""

    url: str
    fetched_at: datetime
    etag: str
    body: bytes
    is_known: bool = False
    """The service says that we have it: there is no body."""

    @property
    def text(self) -> str:
        """The body, without the byte order mark that may come first."""
        return self.body.decode("utf-8-sig")

    @property
    def document(self) -> Any:
        """The decoded body; decimal numbers are `Decimal`."""
        return _json.decode(self.text)


@dataclass(frozen=True)
class Listing:
    """All answers to one question, in the order of the pages."""

    url: str
    """Without the page: the name under which the same is asked again."""
    validator: str
    """Stays the same while the service has nothing new: an ETag, or when the data was last updated."""
    answers: tuple[Answer, ...]
    unavailable: str = ""
    """Why there is nothing; else empty."""


class _Meta(msgspec.Struct):
    page: int
    pages: int
    per_page: int
    total: int
    lastupdated: str | None = None


class _Page(msgspec.Struct, array_like=True):
    """An answer of the World Bank; the rows are looked into later."""

    meta: _Meta
    rows: list[msgspec.Raw] | None

    @property
    def page_count(self) -> int:
        return ceil(self.meta.total / max(self.meta.per_page, 1))


class _Message(msgspec.Struct):
    id: str
    value: str = ""


class _Refusal(msgspec.Struct):
    """What the World Bank sends instead."""

    message: list[_Message]


_page = msgspec.json.Decoder(_Page, strict=False)  # numbers may come as texts: per_page of countries does
_refusal = msgspec.json.Decoder(tuple[_Refusal])


class Services:
    """Asks services, at most `AT_ONCE` requests at a time each."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def fetch(
        self, endpoint: Endpoint, address: str, known: Mapping[str, str], **window: Any
    ) -> list[Listing] | None:
        """All that an endpoint gives, or None when that is what the validators `known` (by listing) stand for.

        Raises:
            NoAnswer: a part of it could not be had; nothing is given.
        """
        try:
            httpx.URL(address)
            urls = [
                (word, str(httpx.URL(f"{address.rstrip('/')}{path}", params=endpoint.params)))
                for word, path in endpoint.paths(**window)
            ]
            async with asyncio.timeout(TOTAL_SECONDS):
                if endpoint.paging == "whole":
                    return await self._fetch_whole(endpoint, urls, known)
                return await self._fetch_pages(urls, known)
        except TimeoutError:
            raise NoAnswer(address, f"{endpoint.table} took longer than {TOTAL_SECONDS:.0f} s altogether") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise NoAnswer(address, f"this is no address of a service: {error}") from None

    async def _fetch_whole(
        self, endpoint: Endpoint, urls: list[tuple[str, str]], known: Mapping[str, str]
    ) -> list[Listing] | None:
        def check(answer: Answer) -> None:
            try:
                count = sum(1 for _ in endpoint.rows_of(answer.document))
            except (KeyError, IndexError, TypeError) as error:
                raise _Passing(answer.url, f"there are no records at {endpoint.records}: {error}") from error
            if not count:
                raise _Passing(answer.url, "the answer is empty")

        answers = await _in_order(self._get(url, check, known.get(url, "")) for _, url in urls)
        if all(answer.is_known for answer in answers):
            return None
        complete = [await self._get(answer.url, check) if answer.is_known else answer for answer in answers]
        return [Listing(answer.url, answer.etag, (answer,)) for answer in complete]

    async def _fetch_pages(self, urls: list[tuple[str, str]], known: Mapping[str, str]) -> list[Listing] | None:
        if all(known.get(url) for _, url in urls) and known == dict(
            await _in_order(self._validator(word, url) for word, url in urls)
        ):
            return None
        listings = await _in_order(self._listing(word, url) for word, url in urls)
        if all(listing.unavailable for listing in listings):
            raise NoAnswer(listings[0].url, f"{listings[0].unavailable}; so says the service of all it was asked for")
        return listings

    async def _validator(self, word: str, url: str) -> tuple[str, str]:
        """What the service says of a listing's age, for the price of one row."""
        answer = await self._known(word, str(httpx.URL(url).copy_merge_params({"per_page": 1, "page": 1})))
        if isinstance(answer, _Unknown):
            return url, answer.what
        return url, _page_of(answer).meta.lastupdated or ""

    async def _listing(self, word: str, url: str) -> Listing:
        return await _retrying(_PagesDisagree, LISTING_TRIES)(self._read_pages, word, url)

    async def _read_pages(self, word: str, url: str) -> Listing:
        def page_url(number: int) -> str:
            return str(httpx.URL(url).copy_merge_params({"page": number}))

        first = await self._known(word, page_url(1))
        if isinstance(first, _Unknown):
            return Listing(url, first.what, (), first.what)
        page = _page_of(first)
        validator = page.meta.lastupdated or ""
        if page.meta.total == 0 and word:
            return Listing(url, validator, (first,), "it has no rows")
        _check_pages(url, [page])
        rest = await _in_order(self._get(page_url(number), _page_of) for number in range(2, page.page_count + 1))
        answers = (first, *rest)
        _check_pages(url, [_page_of(answer) for answer in answers])
        return Listing(url, validator, answers)

    async def _known(self, word: str, url: str) -> Answer | _Unknown:
        """The answer; or, when the endpoint asks for many words, that the service does not know this one."""
        try:
            return await self._get(url, _page_of)
        except _Unknown as error:
            if not word:
                raise
            return error

    async def _get(self, url: str, check: Callable[[Answer], object], etag: str = "") -> Answer:
        """A good answer; one that `is_known` when it would be the one of that ETag."""
        return await _retrying(_Passing, TRIES)(self._ask, url, check, etag)

    async def _ask(self, url: str, check: Callable[[Answer], object], etag: str) -> Answer:
        headers = {"If-None-Match": etag} if etag else {}
        try:
            async with self._slots[httpx.URL(url).host], asyncio.timeout(ANSWER_SECONDS):
                response = await self._http.get(url, headers=headers)
        except httpx.UnsupportedProtocol:
            raise
        except TimeoutError:
            raise _Passing(url, f"no whole answer within {ANSWER_SECONDS:.0f} s") from None
        except httpx.RequestError as error:
            raise _Passing(url, f"{type(error).__name__} {error}".strip()) from error
        if response.status_code == httpx.codes.NOT_MODIFIED and etag:
            return Answer(url, datetime.now(UTC), etag, b"", is_known=True)
        answer = Answer(url, datetime.now(UTC), response.headers.get("etag", ""), response.content)
        _check_status(url, response)
        try:
            check(answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _Passing(url, f"the answer is no JSON of the kind that was asked for: {error}") from error
        return answer


def _retrying(of: type[NoAnswer], tries: int) -> AsyncRetrying:
    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, _Passing) else 0
        return max(float(_BACKOFF(state)), min(asked, RETRY_AFTER_SECONDS))

    return AsyncRetrying(
        retry=retry_if_exception_type(of),
        stop=stop_after_attempt(tries),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )


def _check_status(url: str, response: httpx.Response) -> None:
    code = response.status_code
    if code == httpx.codes.OK:
        return
    what = f"status {code} {response.reason_phrase}".strip()
    if code == httpx.codes.TOO_MANY_REQUESTS or code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise _Passing(url, what, retry_after=_retry_after(response))
    if code == httpx.codes.BAD_REQUEST and "json" not in response.headers.get("content-type", ""):
        raise _Passing(url, what)
    raise NoAnswer(url, what)


def _retry_after(response: httpx.Response) -> float:
    """How many seconds to wait: the header holds them, or a date."""
    said: str = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
        return (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0


def _page_of(answer: Answer) -> _Page:
    """The page that an answer of the World Bank is.

    Raises:
        msgspec.DecodeError: it is none.
        _Unknown: the service says that it does not know what it was asked for.
        _Passing: it says that something else is wrong.
    """
    try:
        (refusal,) = _refusal.decode(answer.text)
    except msgspec.ValidationError:
        return _page.decode(answer.text)
    said = "; ".join(message.value for message in refusal.message)
    if any(message.id in _UNKNOWN for message in refusal.message):
        raise _Unknown(answer.url, said)
    raise _Passing(answer.url, f"the service says: {said}")


def _check_pages(url: str, pages: list[_Page]) -> None:
    """Refuse pages that do not fit what they say of themselves, or each other.

    Raises:
        _PagesDisagree: the message says in what.
    """
    first, size = pages[0].meta, pages[0].meta.per_page
    seen: set[bytes] = set()
    for number, page in enumerate(pages, start=1):
        if page.meta != msgspec.structs.replace(first, page=number):
            raise _PagesDisagree(url, f"page {number} says {page.meta}, which does not fit page 1's {first}")
        if page.meta.pages != page.page_count or page.page_count > MOST_PAGES:
            raise _PagesDisagree(url, f"it announces {first.total} rows, {size} a page, as {first.pages} pages")
        rows = [bytes(row) for row in page.rows or ()]
        expected = min(size, first.total - (number - 1) * size)
        if len(rows) != expected or not rows:
            raise _PagesDisagree(url, f"page {number} has {len(rows)} rows where {expected} were announced")
        if repeated := seen.intersection(rows):
            raise _PagesDisagree(url, f"page {number} repeats {len(repeated)} records of earlier pages")
        seen.update(rows)


async def _in_order(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. The first error ends the others and is the one that is seen."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
