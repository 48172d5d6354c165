"""Third-party data: the endpoints of `endpoints.yml`, each one landing for the last day of a window.

1. The services are asked; what has not changed since the last landing is not fetched again.
2. The answers are kept as they came, beside the landings (`lake/responses`).
3. Records with the promised types land, repeats once; the others go to quarantine with the reason.
4. What was written is compared with the number of records in the kept answers, counted by the database.
"""

import asyncio
import dataclasses
import gzip
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import httpx
import msgspec

from ingestion import landing
from ingestion.answers import Sorted
from ingestion.endpoints import Endpoint, load_endpoints
from ingestion.landing import SourceError, explained
from ingestion.services import ANSWER_SECONDS, CONNECT_SECONDS, Listing, NoAnswer, Services
from storage.days import DAY
from storage.engine import connect, text
from storage.files import replace
from storage.lake import Lake, LandingInterrupted, Outcome
from storage.settings import Settings

# So that a payment of the first day has a rate: over Easter there is none for four days.
DAYS_BEFORE_LAUNCH = timedelta(days=7)

_LINE_BYTES = 2**24  # the database's reader takes four times as much memory as the longest line that it is told of


@dataclass(frozen=True)
class _Last:
    """The last landing on or before a day, else the first one after it."""

    outcome: Outcome
    validators: Mapping[str, str]
    """What the service said of its age, by listing. Empty: it has to be landed again."""


class _Kept(msgspec.Struct):
    """A line of the kept responses."""

    listing: str
    validator: str
    url: str
    fetched_at: datetime | None = None
    etag: str = ""
    body: str | None = None


class _Validator(msgspec.Struct):
    listing: str
    validator: str


def stage_market_data(
    settings: Settings, lake: Lake, day: date, *, transport: httpx.AsyncBaseTransport | None = None
) -> list[Outcome]:
    """Read every declared endpoint into `lake/pending/<ingest_id>/{data,quarantine}.parquet`.

    Args:
        settings: where the services are.
        lake: has the earlier landings.
        day: the landing day, which is the last of a window.
        transport: answers instead of the network.

    Returns:
        One outcome for each endpoint. `staged`: to be audited. `unchanged`: the last landing holds the same, nothing
        is written. `stale`: the service gave no good answer, and the last landing is young enough to go on with.
        `failed`: it is not, or there is none, or the landing could not be written; the reason names the remedy.
    """
    started_at, clock = datetime.now(UTC), perf_counter()
    endpoints = load_endpoints()
    lasts = [_last_landing(settings, lake, endpoint, day) for endpoint in endpoints]
    fetched = asyncio.run(_fetch(settings, endpoints, lasts, day, transport))
    outcomes = []
    for endpoint, last, listings in zip(endpoints, lasts, fetched, strict=True):
        attempt = Outcome(
            ingest_id="",
            source=endpoint.service,
            table=endpoint.table,
            day=day,
            status="unchanged",
            started_at=started_at,
            contract_digest=endpoint.digest,
        )
        outcome = _outcome(settings, lake, endpoint, attempt, last, listings)
        outcomes.append(dataclasses.replace(outcome, seconds=round(perf_counter() - clock, 3)))
    return outcomes


async def _fetch(
    settings: Settings,
    endpoints: Sequence[Endpoint],
    lasts: Sequence[_Last | None],
    day: date,
    transport: httpx.AsyncBaseTransport | None,
) -> list[list[Listing] | BaseException | None]:
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=True) as http:
        services = Services(http)
        return await asyncio.gather(
            *(
                services.fetch(
                    endpoint,
                    _address(settings, endpoint),
                    last.validators if last else {},
                    start=settings.launch_date - DAYS_BEFORE_LAUNCH,
                    end=day,
                )
                if _may_have_news(endpoint, last, day)
                else asyncio.sleep(0)
                for endpoint, last in zip(endpoints, lasts, strict=True)
            ),
            return_exceptions=True,
        )


def _may_have_news(endpoint: Endpoint, last: _Last | None, day: date) -> bool:
    """Whether to ask. Not on a day on which the service publishes nothing; but who loads a day again means it."""
    if last is None or not last.validators or last.outcome.day >= day:
        return True
    asked_at = min(last.outcome.started_at.replace(tzinfo=UTC), _end_of(last.outcome.day))
    return endpoint.publishes_between(asked_at, _end_of(day))


def _end_of(day: date) -> datetime:
    return datetime.combine(day + DAY, time(), UTC)


def _address(settings: Settings, endpoint: Endpoint) -> str:
    return {"world_bank": settings.world_bank_url, "fx": settings.fx_url}[endpoint.service]


def _last_landing(settings: Settings, lake: Lake, endpoint: Endpoint, day: date) -> _Last | None:
    landed = lake.accepted(endpoint.service, endpoint.table)
    if not landed:
        return None
    if landed[0].day > day:
        return _Last(landed[0], {})
    last = next(outcome for outcome in reversed(landed) if outcome.day <= day)
    try:
        with lake.locked():
            lake.partitions(endpoint.service, endpoint.table)
    except LandingInterrupted:
        return _Last(last, {})
    is_comparable = last.contract_digest == endpoint.digest and last.rules in {"", settings.service_rules}
    return _Last(last, _validators(lake, last) if is_comparable else {})


def _validators(lake: Lake, outcome: Outcome) -> dict[str, str]:
    try:
        with gzip.open(_responses(lake, outcome)) as lines:
            kept = [msgspec.json.decode(line, type=_Validator) for line in lines]
    except (OSError, EOFError, msgspec.DecodeError):
        return {}  # then all is fetched
    return {line.listing: line.validator for line in kept}


def _responses(lake: Lake, outcome: Outcome) -> Path:
    """Where the answers that made a landing are kept, one JSON object a line."""
    folder = lake.root / "responses" / outcome.source / outcome.table / f"dt={outcome.day}"
    return folder / f"{outcome.ingest_id}.jsonl.gz"


def _outcome(
    settings: Settings,
    lake: Lake,
    endpoint: Endpoint,
    attempt: Outcome,
    last: _Last | None,
    listings: list[Listing] | BaseException | None,
) -> Outcome:
    if isinstance(listings, NoAnswer):
        return _unanswered(endpoint, attempt, last, listings)
    if isinstance(listings, BaseException):
        raise listings
    if listings is None:
        return attempt
    try:
        return _land(settings, lake, endpoint, attempt, last, listings)
    except SourceError as error:
        return dataclasses.replace(attempt, status="failed", reason=str(error))


def _unanswered(endpoint: Endpoint, attempt: Outcome, last: _Last | None, error: NoAnswer) -> Outcome:
    limit = endpoint.fresh_for_days
    remedy = f"Load the day again when the service answers; check LIFTOFF_{endpoint.service.upper()}_URL."
    if last is None:
        return dataclasses.replace(attempt, status="failed", reason=f"{error}. Nothing has landed yet. {remedy}")
    age = (attempt.day - last.outcome.day).days
    if age < 0:  # an old day is loaded again; no build looks at what it would have got
        return dataclasses.replace(attempt, status="stale", reason=f"{error}. Builds read that of {last.outcome.day}.")
    landed = f"The last landing is of {last.outcome.day}, {age} days ago, and is used for less than {limit} days"
    if age >= limit:
        return dataclasses.replace(attempt, status="failed", reason=f"{error}. {landed}. {remedy}")
    return dataclasses.replace(attempt, status="stale", reason=f"{error}. {landed}.")


def _land(
    settings: Settings, lake: Lake, endpoint: Endpoint, attempt: Outcome, last: _Last | None, listings: list[Listing]
) -> Outcome:
    with explained(f"{endpoint.table.capitalize()} of {attempt.day}", lake.root):
        pending = lake.begin()
        staged = dataclasses.replace(attempt, status="staged", ingest_id=pending.name)
        try:
            counts = _write(settings, endpoint, listings, pending)
            if last and last.validators and _same(last.outcome, counts):
                shutil.rmtree(pending)
                return attempt
            replace(pending / "responses.jsonl.gz", _responses(lake, staged))
        except BaseException:
            shutil.rmtree(pending, ignore_errors=True)
            raise
    warnings = tuple(
        f"unavailable: {listing.url}: {listing.unavailable}" for listing in listings if listing.unavailable
    )
    return dataclasses.replace(staged, warnings=warnings, **counts)


def _same(landed: Outcome, counts: Mapping[str, Any]) -> bool:
    return all(getattr(landed, name) == counts[name] for name in ("content_hash", "quarantined"))


def _write(settings: Settings, endpoint: Endpoint, listings: list[Listing], pending: Path) -> dict[str, Any]:
    """Write the landing's files; its part of the outcome."""
    responses, accepted, refused = (
        pending / f"{name}.jsonl{suffix}" for name, suffix in (("responses", ".gz"), ("accepted", ""), ("refused", ""))
    )
    duplicates = 0
    with gzip.open(responses, "wb", compresslevel=6) as kept, accepted.open("wb") as good, refused.open("wb") as bad:
        for listing in listings:
            kept.writelines(map(_line, _kept(listing)))
            records = Sorted(endpoint, listing)
            good.writelines(map(_line, records.accepted))
            bad.writelines(map(_line, records.refused))
            duplicates += records.duplicate_count
    with connect(settings) as connection:
        columns = {name: column.type for name, column in endpoint.columns.items()}
        landing.write_data(connection, pending, f"from {_read_json(accepted, columns)} order by {_list(endpoint.key)}")
        if refused.stat().st_size:
            landing.write_quarantine(connection, pending, _quarantine(endpoint, refused))
        counts = landing.count(
            connection,
            pending,
            "null::date",
            read=(read := _record_count(connection, endpoint, responses, listings)),
            duplicates=duplicates,
            found=f"Lost records: the answers hold {read:,}",
        )
    accepted.unlink()
    refused.unlink()
    return counts


def _kept(listing: Listing) -> list[_Kept]:
    return [
        _Kept(listing.url, listing.validator, answer.url, answer.fetched_at, answer.etag, answer.text)
        for answer in listing.answers
    ] or [_Kept(listing.url, listing.validator, listing.url)]


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _read_json(path: Path, columns: Mapping[str, str], line_bytes: int = _LINE_BYTES) -> str:
    types = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in columns.items())
    options = f"format = 'newline_delimited', maximum_object_size = {line_bytes}, columns = {{{types}}}"
    return f"read_json({text(path)}, {options})"


def _quarantine(endpoint: Endpoint, refused: Path) -> str:
    columns = {"file": "VARCHAR", "line": "BIGINT", "reason": "VARCHAR", "detail": "VARCHAR", "raw": "VARCHAR"}
    return f"""
        select file, line, reason, detail, null::varchar as event_id, null::date as event_date,
            {text(endpoint.digest)} as contract_digest, encode(raw) as raw
        from {_read_json(refused, columns)} order by file, line
    """


def _record_count(
    connection: duckdb.DuckDBPyConnection, endpoint: Endpoint, responses: Path, listings: list[Listing]
) -> int:
    """How many records the kept answers hold."""
    largest = max(len(answer.body) for listing in listings for answer in listing.answers)
    answers = _read_json(responses, {"body": "VARCHAR"}, max(6 * largest, _LINE_BYTES))
    found = f"json_extract(body::json, {text(endpoint.records)})"
    return int(connection.execute(f"select coalesce(sum(len({found})), 0) from {answers}").fetchall()[0][0])


def _list(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
