"""The landings of one table as one relation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from storage.engine import files, text
from storage.lake import Outcome

RELATION = "profiled"
"""The name by which every query of this package reads the rows of the table at hand."""


@dataclass(frozen=True)
class Landing:
    """One accepted landing of the window: how it ended, its data, and what it refused (None when nothing)."""

    outcome: Outcome
    data: Path
    quarantine: Path | None


def show(connection: duckdb.DuckDBPyConnection, landings: Sequence[Landing]) -> dict[str, str]:
    """Give the landings the name `RELATION`, with their day `dt`. Returns the other columns' types."""
    rows = rows_of({landing.data: landing.outcome.day for landing in landings})
    connection.execute(f"create or replace temp view {RELATION} as {rows}")
    described = connection.execute(f"describe {RELATION}").fetchall()
    return {name: kind for name, kind, *_ in described if name != "dt"}


def refused_of(landings: Sequence[Landing]) -> str | None:
    """A query of what the landings refused, with their day `dt`; None if that is nothing."""
    kept = {landing.quarantine: landing.outcome.day for landing in landings if landing.quarantine}
    return rows_of(kept) if kept else None


def rows_of(days: Mapping[Path, date]) -> str:
    """A query of Parquet files, by their columns' names, and `dt`: the day of each, whatever its path says.

    Left to itself the reader makes a column of each `name=value` in a path, those above the lake included.
    """
    paths, dates = files(days), ", ".join(map(text, days.values()))
    return f"""
        select * exclude (_file), map({paths}, [{dates}]::date[])[_file] as dt
        from read_parquet({paths}, hive_partitioning = false, union_by_name = true, filename = '_file')
    """
