"""Warehouse extracts: a window of days of another team's tables becomes one landing a table and day.

1. All tables are read in one transaction, so that they fit each other; a table's days in one query.
2. Rows stream into one file; on their way personal columns are hashed and each row is judged, so that nothing is ever
   kept in clear.
3. Unless they came in order of their key, they are sorted, and repeated keys are looked for.
4. Each day is written, counted, and compared with a count that the warehouse made in the same transaction.

A table whose columns break its contract does not land at all; a row that breaks it is quarantined.
"""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb

from contracts.tables import SOURCE, TableContract, load_table_contracts
from ingestion import columns, landing
from ingestion.landing import Reason, explained
from ingestion.upstream import SCHEMA, Upstream, open_upstream
from storage.days import DAY
from storage.engine import connect, text
from storage.lake import Lake, Outcome
from storage.settings import Settings

# With row groups of the default size (122,880) a landing of 2 million payments takes about 100 MB more.
_SPOOL = "compression snappy, row_group_size 30720"


def stage_extracts(settings: Settings, lake: Lake, days: Sequence[date]) -> list[Outcome]:
    """Read the tables of a window into `lake/pending/<ingest_id>/{data,quarantine}.parquet`, each table and day apart.

    A `snapshot` is read as it is now and lands on the window's last day alone. A row of a `changes` table that is of
    no day, because its `changed_at` is missing or infinite, is quarantined on that day too.

    Args:
        settings: where the warehouse is.
        lake: where the landings are written.
        days: each day of the window, in order, none left out.

    Returns:
        One outcome a table and day: `staged`, or `failed` where the table breaks its contract.

    Raises:
        SourceError: the warehouse cannot be read, or nothing can be written. Nothing is left of any table.
    """
    begun: list[Path] = []
    try:
        with (
            explained(f"Extracts of {days[-1]}", lake.root),
            open_upstream(settings.warehouse_uri) as upstream,
            connect(settings) as connection,
        ):
            columns.keep_pads(connection, settings.salt())
            found = upstream.columns()
            outcomes: list[Outcome] = []
            for contract in _contracts().values():
                extract = _Extract(connection, upstream, contract, days)
                outcomes += extract.stage(lake, found.get(contract.table, {}), begun)
            return outcomes
    except BaseException:
        for pending in begun:
            shutil.rmtree(pending, ignore_errors=True)
        raise


@cache
def _contracts() -> Mapping[str, TableContract]:
    return load_table_contracts()


class _Extract:
    """One table's days."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        upstream: Upstream,
        contract: TableContract,
        days: Sequence[date],
    ) -> None:
        self._connection, self._upstream, self._contract = connection, upstream, contract
        self._name = f"{SCHEMA}.{contract.table}"
        self._last = days[-1]
        self._days = days if contract.read == "changes" else days[-1:]
        self._within = f"changed_at >= timestamp '{days[0]}' and changed_at < timestamp '{days[-1] + DAY}'"
        landed_names = {column.name: column.landed_name for column in contract.columns}
        self._key = ", ".join(f'"{landed_names[name]}"' for name in contract.key)
        self._landed = ", ".join(f'"{name}"' for name in landed_names.values())

    def stage(self, lake: Lake, found: Mapping[str, str], begun: list[Path]) -> list[Outcome]:
        """Read the table and write its landings; their folders are added to `begun`."""
        started_at, clock = datetime.now(UTC), perf_counter()
        common = Outcome(
            ingest_id="",
            source=SOURCE,
            table=self._contract.table,
            day=self._last,
            status="failed",
            started_at=started_at,
            contract_digest=self._contract.digest,
        )
        try:
            warnings = columns.compare(self._contract, found, self._upstream.name)
        except columns.ContractBroken as error:
            return [dataclasses.replace(common, day=day, reason=str(error)) for day in self._days]
        folders = {}
        for day in self._days:
            folders[day] = lake.begin()
            begun.append(folders[day])
        spool = folders[self._last] / "spool.parquet"
        held = self._count_upstream()
        self._read(spool)
        duplicates = self._judge_repeats()
        outcomes = [
            dataclasses.replace(
                common,
                ingest_id=pending.name,
                day=day,
                status="staged",
                warnings=warnings if day == self._last else (),
                **self._write(pending, day, held.get(day, 0), duplicates.get(day, 0)),
            )
            for day, pending in folders.items()
        ]
        spool.unlink()
        seconds = round((perf_counter() - clock) / len(outcomes), 3)  # the days were read together
        return [dataclasses.replace(outcome, seconds=seconds) for outcome in outcomes]

    def _count_upstream(self) -> dict[date, int]:
        counted = self._upstream.rows(
            f"select {self._day()}, count(*) from {self._name} where {self._where()} group by 1"
        )
        held: dict[date, int] = {}
        for day, rows in counted:
            held[day or self._last] = held.get(day or self._last, 0) + rows
        return held

    def _day(self) -> str:
        """A row's day as SQL of the warehouse and ours; NULL if it is of none."""
        if self._contract.read == "snapshot":
            return "cast(null as date)"
        return f"case when {self._within} then cast(changed_at as date) end"

    def _where(self) -> str:
        if self._contract.read == "snapshot":
            return "true"
        return f"({self._within}) or changed_at is null or {columns.is_beyond('changed_at', 'timestamp')}"

    def _read(self, spool: Path) -> None:
        """Stream the rows, judged and without what is personal, into one file: view `staged`."""
        query = f"select {columns.sent(self._contract)} from {self._name} where {self._where()}"
        judged = columns.judged(self._contract, "sent", f"coalesce({self._day()}, date '{self._last}')")
        with self._upstream.broken_off():
            self._connection.register("sent", self._upstream.stream(query))
            self._execute(f"copy ({judged}) to {text(spool)} (format parquet, {_SPOOL})")
        self._connection.unregister("sent")
        self._execute(f"create or replace temp view staged as from {text(spool)}")

    def _judge_repeats(self) -> dict[date, int]:
        """Of rows that are the same keep one; of rows that only share their key none. How many were dropped, by day.

        Tables that only grow come in order of their key, and then have no repeats. The others are held and sorted,
        which takes memory.
        """
        if self._is_in_order():
            self._order = ""
            return {}
        self._order = f"order by {self._key}"
        self._execute("create or replace temp table held as from staged")
        self._execute("create or replace temp view staged as from held")
        self._execute(f"""
            create or replace temp table copies as
            select held.rowid as row, _day, {self._key}, row_number() over same > 1 as is_copy
            from (select rowid, * from held where _reason is null) as held
            join (select _day, {self._key} from held where _reason is null group by all having count(*) > 1)
                using (_day, {self._key})
            window same as (partition by _day, {self._landed} order by held.rowid)
        """)
        self._execute("delete from held where rowid in (select row from copies where is_copy)")
        self._execute(f"""
            update held set
                _reason = '{Reason.DUPLICATE_KEY}',
                _detail = 'other rows of that day have the same {", ".join(self._contract.key)}',
                _raw = {columns.raw(self._contract)}
            where rowid in (
                select row from copies where not is_copy
                qualify count(*) over (partition by _day, {self._key}) > 1
            )
        """)
        return dict(self._execute("select _day, count(*) from copies where is_copy group by all"))

    def _is_in_order(self) -> bool:
        return not self._execute(f"""
            select bool_or(key <= previous) from (
                select row({self._key}) as key, lag(row({self._key})) over () as previous
                from staged where _reason is null
            )
        """)[0][0]

    def _write(self, pending: Path, day: date, read: int, duplicates: int) -> dict[str, Any]:
        of_day = f"from staged where _day = '{day}' and _reason is"
        landing.write_data(self._connection, pending, f"select {self._landed} {of_day} null {self._order}")
        if self._execute(f"select count(*) {of_day} not null")[0][0]:
            refused = f"""
                select
                    '{self._name}' as file, row_number() over (order by _raw) as line, _reason as reason,
                    _detail as detail, concat_ws(' ', {self._key}) as event_id, _day as event_date,
                    '{self._contract.digest}' as contract_digest, encode(_raw) as raw
                {of_day} not null order by line
            """
            landing.write_quarantine(self._connection, pending, refused)
        return landing.count(
            self._connection,
            pending,
            "changed_at::date" if self._contract.read == "changes" else "null::date",
            read=read,
            duplicates=duplicates,
            found=f"Lost rows: {self._name} holds {read:,} of {day}",
        )

    def _execute(self, query: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(query).fetchall()
        return rows
