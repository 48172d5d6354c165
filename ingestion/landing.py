"""What the landings of all sources share: their files, how these are counted, and what is said when one fails."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

from storage.engine import text
from storage.errors import LiftoffError

# The defaults (level 3, dictionaries up to a fifth of a row group, Bloom filters) take half as long again to write a
# file of the same size.
_PARQUET = "compression zstd, compression_level 1, dictionary_size_limit 5000, write_bloom_filter false"
QUARANTINE_COLUMNS = """
    file varchar, line bigint, reason varchar, detail varchar, event_id varchar, event_date date,
    contract_digest varchar, raw blob
"""
TRIES = "STRUCT(tried_at TIMESTAMP, contract_digest VARCHAR, rules VARCHAR, reason VARCHAR)[]"
"""The type of column `tries`, which a replay adds: each verdict on a record so far. Where it is missing or NULL, there
is but that of the landing."""


class SourceError(LiftoffError):
    """A source cannot be read as a whole, so nothing of it lands. The message names what failed and the remedy."""


class Reason(StrEnum):
    """Why a record is quarantined."""

    LINE_TOO_LONG = "line_too_long"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    DUPLICATE_KEY = "duplicate_key"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_VERSION = "unknown_version"
    NOT_IN_ENUM = "not_in_enum"
    OUT_OF_RANGE = "out_of_range"
    FUTURE = "future"
    BEFORE_LAUNCH = "before_launch"
    TOO_LATE = "too_late"


Check = tuple[Reason, str, str]
"""A reason, the condition under which it holds, and its details in words, the latter two as SQL."""


def first_reason(checks: Iterable[Check]) -> str:
    """An expression: the reason of the first check that holds, NULL if none does."""
    return first_detail((reason, condition, f"'{reason}'") for reason, condition, _ in checks)


def first_detail(checks: Iterable[Check]) -> str:
    """The same in words for people."""
    return f"case {' '.join(f'when {condition} then {detail}' for _, condition, detail in checks)} end"


def write_data(connection: duckdb.DuckDBPyConnection, pending: Path, records: str) -> None:
    """Write the accepted records, a query, with the ingest id in the file itself."""
    connection.execute(f"""
        copy ({records}) to {text(pending / "data.parquet")}
        (format parquet, {_PARQUET}, kv_metadata {{ingest_id: {text(pending.name)}}})
    """)


def write_quarantine(connection: duckdb.DuckDBPyConnection, pending: Path, records: str) -> None:
    """Write the refused records, a query of `QUARANTINE_COLUMNS` that gives at least one."""
    connection.execute(f"copy ({records}) to {text(pending / 'quarantine.parquet')} (format parquet, {_PARQUET})")


def count(
    connection: duckdb.DuckDBPyConnection, pending: Path, event_date: str, *, read: int, duplicates: int, found: str
) -> dict[str, Any]:
    """What was written, as the fields of its outcome; counted in the files.

    Args:
        connection: any database.
        pending: the landing's folder.
        event_date: SQL over a record, its event day.
        read: how many records the source holds, counted independently of reading them.
        duplicates: how many of them were dropped as repeats.
        found: the same in words, for the error: `Lost lines: the files hold 3 lines`.

    Raises:
        SourceError: the counts do not add up.
    """
    accepted, first, last, content = _one(
        connection,
        f"select count(*), min({event_date}), max({event_date}), sum(hash(record)) "
        f"from read_parquet({text(pending / 'data.parquet')}, hive_partitioning = false) as record",
    )
    refused = pending / "quarantine.parquet"
    (quarantined,) = _one(connection, f"select count(*) from {text(refused)}") if refused.exists() else (0,)
    if read != accepted + quarantined + duplicates:
        raise SourceError(
            f"{found}, but {accepted:,} were accepted, {quarantined:,} quarantined and {duplicates:,} were duplicates. "
            "Nothing landed. This is a fault of the reader, not of the data: please report it with its source."
        )
    return {
        "read": read,
        "accepted": accepted,
        "quarantined": quarantined,
        "duplicates": duplicates,
        "first_event_date": first,
        "last_event_date": last,
        "content_hash": f"{accepted:x}-{int(content or 0):x}",
    }


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(query).fetchall()[0]
    return row


@contextmanager
def explained(subject: str, lake_dir: Path) -> Iterator[None]:
    """Turn what the system or the database cannot do into an error for people."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        where = f"{subject} did not land: "
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
            raise SourceError(
                f"{where}the disk of {lake_dir} is full. Free space there (a landing of logs needs about ten times "
                "the size of its source files while it runs), then run it again."
            ) from error
        if isinstance(error, PermissionError):
            raise SourceError(f"{where}no permission for {error.filename}. Give this user access to it.") from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise SourceError(f"{where}{error}. Raise LIFTOFF_DUCKDB_MEMORY_LIMIT.") from error
        raise SourceError(f"{where}{error}") from error
