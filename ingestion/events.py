"""Event logs: one day of the collector's files becomes one landing.

1. Lines of JSON with the promised types go into one plain file, the others to quarantine.
2. Of the lines that share an event id one is kept; the others are blanked in that file.
3. The database reads the file once and writes the events that keep their contract.
4. Lines whose event was not written are looked up and quarantined with the reason.
5. What was written is counted and compared with the lines of the source.
"""

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts import EventContracts, load_event_contracts
from ingestion import landing, rules
from ingestion.landing import Reason, SourceError, explained
from ingestion.lines import MAX_LINE_BYTES, Screen, count_lines, read_blocks
from storage.engine import connect, text
from storage.lake import Lake, Outcome
from storage.settings import Settings

__all__ = ["SOURCE", "TABLE", "Reason", "SourceError", "read_events", "stage_events"]

SOURCE = TABLE = "events"
# Unknown fields come with an app version, so that the first lines of every hour show them.
SAMPLED_LINES_PER_FILE = 100

_LOG_FILE = re.compile(r"[^.].*\.jsonl(\.gz)?")  # names with a leading dot are files not yet complete
_OBJECT_BYTES = 4 * MAX_LINE_BYTES  # a suspect is its line twice, once of them escaped
_SUSPECT_COLUMNS = {"_start": "BIGINT", "_raw": "VARCHAR"}


def stage_events(settings: Settings, lake: Lake, day: date) -> Outcome:
    """Read the collector's folder of that day into `lake/pending/<ingest_id>/{data,quarantine}.parquet`.

    Needs room there for about ten times the size of the compressed files, most of it for the plain file that is gone
    at the end, and little memory whatever their size.

    Raises:
        SourceError: the folder cannot be read as a whole, or the landing cannot be written. Nothing is left of it.
    """
    started_at, clock = datetime.now(UTC), perf_counter()
    files = _source_files(settings.events_dir / str(day))
    with explained(f"Events of {day}", lake.root):
        pending = lake.begin()
        try:
            totals = read_events(settings, files, pending)
        except BaseException:
            shutil.rmtree(pending, ignore_errors=True)
            raise
    return Outcome(
        ingest_id=pending.name,
        source=SOURCE,
        table=TABLE,
        day=day,
        status="staged",
        started_at=started_at,
        seconds=round(perf_counter() - clock, 3),
        **totals,
    )


def read_events(settings: Settings, files: Sequence[Path], pending: Path) -> dict[str, Any]:
    """Read lines of events into `{data,quarantine}.parquet` of a folder. Returns their part of the outcome.

    Raises:
        SourceError: a file is damaged, or was written to meanwhile.
        OSError, duckdb.Error: the system or the database cannot do it; wrap it in `landing.explained`.
    """
    before = _state(files)
    with connect(settings) as connection:
        landing = _Landing(connection, _contracts(), settings, pending)
        landing.spool(files)
        if changed := [path for path, state in _state(files).items() if state != before[path]]:
            raise SourceError(
                f"{', '.join(path.name for path in changed)} in {files[0].parent} changed while being read: the "
                "collector still writes there. Land the day once it is complete."
            )
        return landing.settle()


def _source_files(folder: Path) -> list[Path]:
    remedy = "Check LIFTOFF_EVENTS_DIR, and that the collector has delivered that day."
    try:
        files = sorted(path for path in folder.iterdir() if _LOG_FILE.fullmatch(path.name))
    except FileNotFoundError:
        raise SourceError(f"There is no folder {folder}. {remedy}") from None
    except OSError as error:
        raise SourceError(f"{folder} cannot be read: {error.strerror}. Give this user access to it.") from error
    if not files:
        raise SourceError(f"{folder} holds no .jsonl.gz or .jsonl file. {remedy}")
    return files


def _state(files: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


@cache
def _contracts() -> EventContracts:
    return load_event_contracts()


class _Landing:
    """One attempt's files and tables.

    Table `lines` holds where each line of the plain file came from, and a hash of its event id by which it is found
    again: the database's reader knows no line numbers. That two ids share a hash costs a second look and no record.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, contracts: EventContracts, settings: Settings, pending: Path
    ) -> None:
        self._connection, self._contracts, self._pending = connection, contracts, pending
        self._plain, self._suspects = pending / "lines.jsonl", pending / "suspects.jsonl"
        self._data = pending / "data.parquet"
        self._json_columns = rules.json_columns(contracts)
        self._is_refused = rules.is_refused(contracts, settings)
        self._refusal = rules.refusal(contracts, settings)
        self._refusal_detail = rules.refusal_detail(contracts, settings)
        self._files: list[str] = []
        self._places: list[pa.Table] = []
        self._faults: list[tuple[str, int, Reason, str, str | None, bytes]] = []
        self._line_count = self._blank_count = self._duplicate_count = self._sampled_count = 0
        self._unknown_fields: Counter[str] = Counter()
        self._known_fields = {
            key: {"properties", *(field.name for field in contracts.envelope)}
            | {f"properties.{field.name}" for field in contract.properties}
            for key, contract in contracts.events.items()
        }
        self._execute("set preserve_insertion_order = false")
        self._execute("create temp table lines (id_hash ubigint, file usmallint, line bigint, start bigint)")
        self._execute(f"create temp table quarantine ({landing.QUARANTINE_COLUMNS})")

    def spool(self, files: Sequence[Path]) -> None:
        """Write the lines that pass the screen to the plain file, quarantine the others."""
        screen, end = Screen(self._contracts), 0
        with self._plain.open("wb") as plain:
            for path in files:
                self._files.append(path.name)
                number = 1
                for block in read_blocks(path):
                    self._line_count += count_lines(block)  # in the bytes, whatever becomes of them below
                    lines, ids = self._screened(screen, block, number)
                    end = self._locate(ids, lines, number, end)
                    if number == 1:
                        self._sample(lines[:SAMPLED_LINES_PER_FILE])
                    plain.write(block if len(ids) == len(lines) else b"\n".join([*lines, b""]))
                    number += len(lines)
        self._flush()

    def _screened(self, screen: Screen, block: bytes, number: int) -> tuple[list[bytes], list[str]]:
        """The lines of a block, blank where they do not pass (those go to quarantine), and the others' event ids."""
        lines = block.split(b"\n")
        lines.pop()
        ids, refused = screen.event_ids(block, lines)
        for index in refused:
            line, lines[index] = lines[index], b""
            if line.strip():
                self._faults.append((self._files[-1], number + index, *screen.fault_of(line), line))
            else:
                self._blank_count += 1
        return lines, ids

    def _locate(self, ids: list[str], lines: list[bytes], number: int, start: int) -> int:
        """Keep where each line that passed came from; where the plain file ends after this block."""
        lengths = np.fromiter(map(len, lines), np.int64, len(lines))
        ends = start + np.cumsum(lengths + 1)
        passed = np.flatnonzero(lengths)
        file = np.full(len(ids), len(self._files) - 1)
        self._places.append(_arrow_table(ids, file=file, line=number + passed, start=(ends - lengths - 1)[passed]))
        if len(self._places) == 128:  # an insert for each block would cost as much as all else here
            self._flush()
        return int(ends[-1])

    def _flush(self) -> None:
        if self._places:
            self._connection.register("places", pa.concat_tables(self._places))
            self._execute("insert into lines select hash(id), file, line, start from places")
            self._places.clear()
        if self._faults:
            self._execute(
                """
                insert into quarantine
                select unnest($1::varchar[]), unnest($2::bigint[]), unnest($3::varchar[]), unnest($4::varchar[]),
                    unnest($5::varchar[]), null, $7, unnest($6::blob[])
                """,
                *([*column] for column in zip(*self._faults, strict=True)),
                self._contracts.digest,
            )
            self._faults.clear()

    def _sample(self, lines: list[bytes]) -> None:
        """Count the fields that the event's contract does not know."""
        for event in map(msgspec.json.decode, filter(None, lines)):
            self._sampled_count += 1
            name, version = event["event_name"], event["schema_version"]
            if known := self._known_fields.get((name, version)):
                fields = [*event, *(f"properties.{field}" for field in event.get("properties") or ())]
                self._unknown_fields.update(f"{field} in {name} {version}" for field in fields if field not in known)

    def settle(self) -> dict[str, Any]:
        """Drop repeats, write what is accepted, quarantine what is refused: the landing's part of its outcome.

        Raises:
            SourceError: the counts do not add up.
        """
        try:
            self._write()
        except duckdb.InvalidInputException as error:
            if "duplicate key" not in str(error):
                raise
            self._quarantine_duplicate_keys()
            self._write()
        return self._totals()

    def _write(self) -> None:
        self._drop_repeats()
        self._write_accepted()
        written = f"(select hash(event_id) as id_hash from {text(self._data)})"
        if self._execute(f"select (select count(*) from lines) > (select count(*) from {written})")[0][0]:
            self._judge(f"select start from lines anti join {written} using (id_hash)")

    def _drop_repeats(self) -> None:
        """Of the accepted lines with one id keep the one with the smallest `received_at`, then the smallest content."""
        self._judge(
            "select start from lines where id_hash in (select id_hash from lines group by all having count(*) > 1)"
        )
        self._blank("select start, raw from judged where refusal is not null")
        self._duplicate_count += self._blank("""
            select start, raw from judged where refusal is null
            qualify row_number() over (partition by event_id order by received_at, raw) > 1
        """)

    def _write_accepted(self) -> None:
        columns = ", ".join(f'"{name}"' for name in self._contracts.landed)
        events = rules.typed_events(self._contracts, _read_json(self._plain, self._json_columns))
        accepted = f"select {columns} from ({events}) where ({self._is_refused}) is not true"
        landing.write_data(self._connection, self._pending, accepted)

    def _judge(self, starts: str) -> None:
        """Read the lines at `starts`, a query, into table `judged`, and quarantine those that break their contract."""
        self._extract(starts)
        fields = ", ".join(f'"{name}" {kind}' for name, kind in self._json_columns.items())
        suspects = _read_json(self._suspects, _SUSPECT_COLUMNS | {"_event": f"STRUCT({fields})"})
        events = rules.typed_events(
            self._contracts, f"(select _start, _raw, _event.* from {suspects})", "_start", "_raw"
        )
        self._quarantine(f"""
            select
                _start as start, encode(_raw) as raw, event_id, received_at,
                case when year(event_at) between 1 and 9999 then event_at::date end as event_date,
                {self._refusal} as refusal, {self._refusal_detail} as detail
            from ({events})
        """)

    def _quarantine_duplicate_keys(self) -> None:
        """The one thing that passes the screen and that the reader refuses, without saying in which line."""
        known = ", ".join(f"'{name}'" for name in (*self._json_columns, *self._contracts.properties))
        keys = f"""
            list_filter(json_keys(json) || coalesce(json_keys(json, '$.properties'), []), lambda key: key in ({known}))
        """
        self._execute("set preserve_insertion_order = true")  # so that the n-th object is the n-th line
        self._execute(f"""
            create temp table ambiguous as
            with objects as (
                select row_number() over () as number, {keys} as keys
                from read_ndjson_objects({text(self._plain)}, maximum_object_size = {_OBJECT_BYTES})
            )
            select start, list_aggregate(keys, 'mode') as key
            from objects join (select start, row_number() over (order by start) as number from lines) using (number)
            where len(keys) > len(list_distinct(keys))
        """)
        self._execute("set preserve_insertion_order = false")
        self._extract("select start from ambiguous")
        self._quarantine(f"""
            select
                start, encode(_raw) as raw, _raw::json ->> 'event_id' as event_id, null::timestamp as received_at,
                null::date as event_date, '{Reason.DUPLICATE_KEY}' as refusal, key || ' is given twice' as detail
            from {_read_json(self._suspects, _SUSPECT_COLUMNS)} join ambiguous on start = _start
        """)
        self._blank("select start, raw from judged")

    def _extract(self, starts: str) -> None:
        """Write the lines at `starts` to a file of their own, each with its place and its exact text."""
        found = self._connection.execute(starts)
        with self._plain.open("rb") as plain, self._suspects.open("wb") as suspects:
            while chunk := found.fetchmany(10_000):
                for (start,) in chunk:
                    plain.seek(start)
                    line = plain.readline().removesuffix(b"\n")
                    raw = msgspec.json.encode(line.decode())
                    suspects.write(b'{"_start":%d,"_raw":%b,"_event":%b}\n' % (start, raw, line))

    def _quarantine(self, judged: str) -> None:
        """Make table `judged` and quarantine what it refuses."""
        self._execute(f"create or replace temp table judged as {judged}")
        self._execute(
            """
            insert into quarantine
            select $1[file + 1], line, refusal, detail, event_id, event_date, $2, raw
            from judged join lines using (start) where refusal is not null
            """,
            self._files,
            self._contracts.digest,
        )

    def _blank(self, lines: str) -> int:
        """Take lines, a query of `start` and `raw`, out of the plain file and of table `lines`; how many."""
        self._execute(
            f"create or replace temp table blanked as select start, octet_length(raw) as length from ({lines})"
        )
        blanked = self._connection.execute("from blanked")
        count = 0
        with self._plain.open("r+b") as plain:
            while chunk := blanked.fetchmany(10_000):
                for start, length in chunk:
                    plain.seek(start)
                    plain.write(b" " * length)
                count += len(chunk)
        self._execute("delete from lines where start in (select start from blanked)")
        return count

    def _totals(self) -> dict[str, Any]:
        if self._execute("select count(*) from quarantine")[0][0]:
            landing.write_quarantine(self._connection, self._pending, "from quarantine order by file, line")
        read = self._line_count - self._blank_count
        counts = landing.count(
            self._connection,
            self._pending,
            "event_at::date",
            read=read,
            duplicates=self._duplicate_count,
            found=f"Lost lines: the source files hold {read:,} lines that are not blank",
        )
        self._plain.unlink()
        self._suspects.unlink()
        return counts | {
            "contract_digest": self._contracts.digest,
            "warnings": tuple(
                f"unknown field {name}: {count} of {self._sampled_count} sampled lines"
                for name, count in sorted(self._unknown_fields.items())
            ),
        }

    def _execute(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(query, parameters).fetchall()
        return rows


def _arrow_table(ids: list[str], **columns: npt.NDArray[np.int64]) -> pa.Table:
    """Column `id` and columns of integers, made from buffers because `pa.array` imports pandas (1.2 s)."""
    encoded = [*map(str.encode, ids)]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.Table.from_arrays(
        [
            pa.StringArray.from_buffers(len(ids), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))),
            *(pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(column)]) for column in columns.values()),
        ],
        names=["id", *columns],
    )


def _read_json(path: Path, columns: Mapping[str, str]) -> str:
    types = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in columns.items())
    options = f"format = 'newline_delimited', maximum_object_size = {_OBJECT_BYTES}, columns = {{{types}}}"
    return f"read_json({text(path)}, {options})"
