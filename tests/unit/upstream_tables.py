"""An upstream warehouse with the rows that a test wants, in either database, and what lands of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq

from contracts.tables import Column, load_table_contracts
from ingestion.extracts import stage_extracts
from storage.days import DAY as ONE_DAY
from storage.lake import Lake
from storage.settings import load_settings
from tests.unit.staged import Staged

DAY = date(2026, 2, 14)
NEXT_DAY = DAY + ONE_DAY
CONTRACTS = load_table_contracts()
_numbers = count()


@dataclass(frozen=True)
class Warehouse:
    """A database with all upstream tables, at first empty."""

    execute: Callable[[str], object]

    def make_tables(self) -> None:
        """Make each table as its contract says, but without constraints: a test plants what they would refuse."""
        tables = (
            f"create table business.{name} ({', '.join(f'{column.name} {column.type}' for column in contract.columns)})"
            for name, contract in CONTRACTS.items()
        )
        self.execute("; ".join(["drop schema if exists business cascade", "create schema business", *tables]))

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        """Add rows."""
        values = ", ".join(f"({', '.join(map(_literal, row.values()))})" for row in rows)
        self.execute(f"insert into business.{table} values {values}")


def duckdb_warehouse() -> Warehouse:
    """The embedded default, where the settings expect it."""
    path = load_settings().data_dir / "source" / "warehouse.duckdb"
    path.parent.mkdir(parents=True, exist_ok=True)

    def execute(statement: str) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(statement)

    warehouse = Warehouse(execute)
    warehouse.make_tables()
    return warehouse


def postgres_warehouse(uri: str) -> Iterator[Warehouse]:
    """Tables on a running server, with nothing of another test."""
    with psycopg.connect(uri, autocommit=True) as connection:
        warehouse = Warehouse(connection.execute)  # type: ignore[arg-type] # statements are strings of ours
        warehouse.make_tables()
        yield warehouse


def row(table: str, **changes: Any) -> dict[str, Any]:
    """A row that keeps its contract, with a key of its own, but for `changes`."""
    number = next(_numbers)
    return {column.name: _value(column, number) for column in CONTRACTS[table].columns} | changes


def _value(column: Column, number: int) -> Any:
    if column.enum:
        return column.enum[0]
    return {
        "bigint": number,
        "varchar": f"some {column.name} {number}",
        "boolean": True,
        "date": "1990-05-17",
        "timestamp": f"{DAY} 10:00:00",
        "decimal(18,4)": "9.9900",
    }[column.type]


def _literal(value: Any) -> str:
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def stage(table: str, *rows: dict[str, Any], warehouse: Warehouse, days: Sequence[date] = (DAY,)) -> Staged:
    """Insert rows, read the window, and give what landed of the table on its last day."""
    if rows:
        warehouse.insert(table, *rows)
    return stage_window(days)[table, days[-1]]


def stage_window(days: Sequence[date] = (DAY,)) -> dict[tuple[str, date], Staged]:
    """Read the window, and check that no row was lost."""
    settings = load_settings()
    lake = Lake(settings.lake_dir)
    staged = {}
    for outcome in stage_extracts(settings, lake, days):
        accepted, quarantined = (
            pq.ParquetFile(path).read().to_pylist()
            if (path := lake.pending(outcome) / f"{name}.parquet").exists()
            else []
            for name in ("data", "quarantine")
        )
        assert outcome.read == outcome.accepted + outcome.quarantined + outcome.duplicates
        assert (outcome.accepted, outcome.quarantined) == (len(accepted), len(quarantined))
        staged[outcome.table, outcome.day] = Staged(outcome, accepted, quarantined)
    return staged
