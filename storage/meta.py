"""What happened, as data: one row per attempt to land, per replay, per check and per build.

Each attempt writes one new file under `lake/meta/<table>/`; nothing there is ever changed. A build loads them into
the schema `meta` of its release, so that "what did we report that day, and why did we trust it?" is a query.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
from pydantic_core import to_json

from storage.files import new_id, write_bytes

# The columns of each table, in DuckDB's types. A new column goes to the end: older files give NULL for it.
TABLES: dict[str, dict[str, str]] = {
    "ingest": {
        "ingest_id": "VARCHAR",
        "source": "VARCHAR",
        "table": "VARCHAR",
        "day": "DATE",
        "status": "VARCHAR",
        "started_at": "TIMESTAMP",
        "seconds": "DOUBLE",
        "read": "BIGINT",
        "accepted": "BIGINT",
        "quarantined": "BIGINT",
        "duplicates": "BIGINT",
        "first_event_date": "DATE",
        "last_event_date": "DATE",
        "content_hash": "VARCHAR",
        "contract_digest": "VARCHAR",
        "reason": "VARCHAR",
        "warnings": "VARCHAR[]",
        "rules": "VARCHAR",
        "gate_id": "VARCHAR",
        "replay_of": "VARCHAR",
    },
    # Refused records that were tried again: a row a replay, day and reason why they had been refused. `accepted` are
    # not refused any more, repeats included; `ingest_id` is the landing that they are in, if any is.
    "replay": {
        "replay_id": "VARCHAR",
        "started_at": "TIMESTAMP",
        "source": "VARCHAR",
        "table": "VARCHAR",
        "day": "DATE",
        "reason": "VARCHAR",
        "tried": "BIGINT",
        "accepted": "BIGINT",
        "ingest_id": "VARCHAR",
        "contract_digest": "VARCHAR",
        "rules": "VARCHAR",
    },
    "check_result": {
        "gate_id": "VARCHAR",
        "subject": "VARCHAR",
        "checked_at": "TIMESTAMP",
        "table": "VARCHAR",
        "name": "VARCHAR",
        "outcome": "VARCHAR",
        "value": "DOUBLE",
        "threshold": "VARCHAR",
        "message": "VARCHAR",
        "days": "DATE[]",
        "owner": "VARCHAR",
        "severity": "VARCHAR",
        "judged_days": "BIGINT",
    },
    "build": {
        "build_id": "VARCHAR",
        "parent": "VARCHAR",
        "status": "VARCHAR",
        "started_at": "TIMESTAMP",
        "seconds": "DOUBLE",
        "last_date": "DATE",
        "restated_dates": "DATE[]",
        "gap_dates": "DATE[]",
        "is_full": "BOOLEAN",
        "reason": "VARCHAR",
    },
}


def record(lake_dir: Path, table: str, rows: Iterable[Any]) -> None:
    """Keep one attempt's rows (dataclasses or mappings with the table's columns) in a new file.

    Args:
        lake_dir: the lake's root.
        table: a key of `TABLES`.
        rows: written as one JSON object a line.
    """
    lines = b"".join(to_json(row) + b"\n" for row in rows)
    write_bytes(lake_dir / "meta" / table / f"{new_id()}.json", lines)


def load(connection: duckdb.DuckDBPyConnection, lake_dir: Path) -> None:
    """Make the tables of schema `meta` in the connection's database from all that was recorded so far."""
    connection.execute("create schema if not exists meta")
    for table, columns in TABLES.items():
        files = sorted(map(str, (lake_dir / "meta" / table).glob("*.json")))
        connection.execute(f'create or replace table meta."{table}" ({_declare(columns)})')
        if files:
            connection.execute(
                f'insert into meta."{table}" by name '
                "select * from read_json($files, columns = $columns, format = 'newline_delimited')",
                {"files": files, "columns": columns},
            )


def _declare(columns: dict[str, str]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
