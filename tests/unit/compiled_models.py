"""The SQL of models, compiled once by dbt and then run on any rows and for any dates, in milliseconds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from liftoff.dbt import _invoke
from storage.settings import Settings

# Dates that no model has of itself: where they are compiled in, a test puts its own.
LISTS = {"read_dates": "1111-01-01", "restated_dates": "1111-01-02", "gap_dates": "1111-01-03"}
LAST_DATE = "1111-01-04"
RELATION = re.compile(r'"(?:liftoff|scratch)"\."main"\."(\w+)"')

Row = dict[str, Any]


def compile_models(names: Sequence[str], folder: Path) -> dict[str, str]:
    """The SQL of these models by name, which reads its parents by their names and its dates from tables."""
    variables = {name: [placeholder] for name, placeholder in LISTS.items()}
    _invoke(
        ["compile", "--select", *names],
        Settings(data_dir=folder / "data"),
        folder / "liftoff.duckdb",
        folder / "scratch.duckdb",
        {**variables, "launch_date": "2026-01-05", "last_date": LAST_DATE},
        lambda _: None,
    )
    return {name: _with_own_dates(next(folder.rglob(f"compiled/**/{name}.sql")).read_text()) for name in names}


def _with_own_dates(compiled: str) -> str:
    sql = RELATION.sub(r"\1", compiled)
    for name, placeholder in LISTS.items():
        sql = sql.replace(f"(date '{placeholder}')", f"(select day from {name})")
    sql = sql.replace(f"date '{LAST_DATE}'", "(select day from last_date)")
    assert "1111" not in sql, "a date of the build is compiled in some other way: teach this module"
    return sql


@dataclass(frozen=True)
class Models:
    """A database in memory in which compiled models run one by one."""

    sql: Mapping[str, str]
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def set_dates(self, last_date: date, **lists: Iterable[date]) -> None:
        """What the build is about."""
        for name, days in {"last_date": [last_date], **dict.fromkeys(LISTS, ()), **lists}.items():
            self.put(name, [{"day": day} for day in days], pa.schema([("day", pa.date32())]))

    def put(self, table: str, rows: Sequence[Row], schema: pa.Schema) -> None:
        """Make a table of these rows, in place of the one before."""
        self.connection.register("rows", pa.Table.from_pylist(list(rows), schema))
        self.connection.execute(f"create or replace table {table} as from rows")

    def build(self, *names: str) -> None:
        """Build these models whole, in this order."""
        for name in names:
            self.connection.execute(f"create or replace table {name} as {self.sql[name]}")

    def restate(self, name: str, date_column: str) -> None:
        """Build an incremental model as dbt does: its rows of the restated dates go, and come anew."""
        self.connection.execute(f"create table if not exists {name} as {self.sql[name]} limit 0")
        self.connection.execute(f"delete from {name} where {date_column} in (select day from restated_dates)")
        self.connection.execute(f"insert into {name} {self.sql[name]}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query, sorted."""
        found: list[tuple[Any, ...]] = self.connection.execute(f"from ({query}) order by all").fetchall()
        return found
