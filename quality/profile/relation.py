"""The landings of one table as one relation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from storage.lake import Outcome

RELATION = "profiled"


@dataclass(frozen=True)
class Landing:
    """One accepted landing of the window: how it ended, its data, and what it refused (None when nothing)."""

    outcome: Outcome
    data: Path
    quarantine: Path | None


def show(connection: duckdb.DuckDBPyConnection, landings: Sequence[Landing]) -> dict[str, str]:
    """Give the landings the name `RELATION`, with their day `dt`. Returns the other columns' types."""
    files = ", ".join("'" + str(landing.data).replace("'", "''") + "'" for landing in landings)
    connection.execute(f"""
        create or replace temp view {RELATION} as
        from read_parquet([{files}], hive_partitioning = true, union_by_name = true)
    """)
    described = connection.execute(f"describe {RELATION}").fetchall()
    return {name: kind for name, kind, *_ in described if name != "dt"}


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'
