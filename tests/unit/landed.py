"""Landings made by hand: the rows of each day as a query."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from quality.profile.declared import Declared, DeclaredColumn
from quality.profile.findings import Table
from quality.profile.measure import measure
from quality.profile.relation import Landing
from quality.profile.suspicions import suspect
from storage.days import now
from storage.engine import connect
from storage.lake import Lake, Outcome
from storage.settings import load_settings

LAUNCH = date(2026, 1, 5)


def write_landing(folder: Path, day: date, rows: str, refused: str = "", **counts: Any) -> Landing:
    """Write a landing as the lake keeps it below `folder`; `{day}` in the queries is its day."""
    folder = folder / f"dt={day}"
    folder.mkdir(parents=True)
    data, quarantine = folder / "data.parquet", folder / "quarantine.parquet"
    for query, path in ((rows, data), (refused, quarantine)):
        if query:
            duckdb.execute(f"copy ({query.format(day=day)}) to '{path}' (format parquet)")
    ((accepted,),) = duckdb.execute(f"select count(*) from '{data}'").fetchall()
    counts = {"content_hash": str(day), "read": accepted} | counts
    outcome = Outcome(folder.name, "shop", "orders", day, "accepted", now(), accepted=accepted, **counts)
    return Landing(outcome, data, quarantine if refused else None)


def profiled(
    folder: Path, queries: Sequence[str], *, refused: str = "", skipped: Collection[date] = (), **declared: Any
) -> Table:
    """The profile of a table `orders` whose key is `order_id`: a query a day, of which those `skipped` do not land."""
    days = {LAUNCH + timedelta(days=number): rows for number, rows in enumerate(queries)}
    landings = [write_landing(folder, day, rows, refused) for day, rows in days.items() if day not in skipped]
    with duckdb.connect() as connection:
        described = connection.execute(f"describe {queries[0].format(day=LAUNCH)}").fetchall()
    columns = {name: DeclaredColumn(kind) for name, kind, *_ in described}
    promised: dict[str, Any] = {
        "source": "shop",
        "table": "orders",
        "key": ("order_id",),
        "columns": columns,
        "is_daily": True,
    }
    with connect(load_settings()) as connection:
        return suspect(*measure(connection, Declared(**promised | declared), landings))


def land(lake: Lake, source: str, table: str, day: date, rows: str) -> Outcome:
    """Land the rows of a query as ingestion would."""
    pending = lake.begin()
    footer = f"(format parquet, kv_metadata {{ingest_id: '{pending.name}'}})"
    duckdb.execute(f"copy ({rows.format(day=day)}) to '{pending}/data.parquet' {footer}")
    ((accepted,),) = duckdb.execute(f"select count(*) from '{pending}/data.parquet'").fetchall()
    outcome = Outcome(pending.name, source, table, day, "staged", now(), read=accepted, accepted=accepted)
    return lake.accept(outcome)
