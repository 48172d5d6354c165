"""The other team's warehouse, as the product's business systems write it: a DuckDB file or a PostgreSQL database.

Beside their schema lies one of our own, with the days that were written.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import duckdb
import psycopg
import pyarrow as pa
from pyarrow import csv

from contracts.tables import TableContract
from simulator.business_tables import contracts, read_table
from simulator.product import Product
from simulator.upstream import SCHEMA

Connection: TypeAlias = "duckdb.DuckDBPyConnection | psycopg.Connection"
SQL_TYPES = {"varchar": "text", "decimal(18,4)": "numeric(18,4)"}
WRITTEN = "simulator.days"


class NotWritten(Exception):
    """The database cannot be written, or not now. The message holds no address: there may be a password in it."""


def write_days(product: Product, days: Iterable[date], uri: str | Path) -> int:
    """Write what changed on `days`, and the snapshots as of the last day that is there; all or nothing.

    A day that is written again replaces its rows.

    Args:
        product: whose business it is.
        days: in any order.
        uri: a DuckDB file (a path, or `duckdb://` and an absolute path; made with its folder where it is missing), or
            `postgresql://user:password@host/database` of who may create tables there.

    Returns:
        The number of changes written.

    Raises:
        ValueError: a day is before the launch, or the database is of another kind.
        NotWritten: the database cannot be reached, is in use, or refuses.
    """
    numbers = sorted({product.day_of(day) for day in days})
    tables = contracts().values()
    changing, shown = ([contract for contract in tables if contract.read == read] for read in ("changes", "snapshot"))
    if not numbers:
        return 0
    written = 0
    with _opened(str(uri)) as connection:
        for contract in changing:
            for number in numbers:
                connection.execute(f"delete from {SCHEMA}.{contract.table} where {_happened_on(product, number)}")
            changes = pa.concat_tables([read_table(product, contract.table, number) for number in numbers])
            _append(connection, contract.table, changes)
            written += len(changes)
        days_written = ", ".join(f"('{product.date_of(number)}')" for number in numbers)
        connection.execute(f"insert into {WRITTEN} values {days_written} on conflict do nothing")
        last = product.day_of(max(_written_days(connection)))
        for contract in shown:
            connection.execute(f"delete from {SCHEMA}.{contract.table}")
            _append(connection, contract.table, read_table(product, contract.table, last))
    return written


def written_days(uri: str | Path) -> set[date]:
    """The days that `write_days` has written there. A database with none is made ready for them.

    Raises:
        ValueError, NotWritten: as `write_days`.
    """
    with _opened(str(uri)) as connection:
        return _written_days(connection)


def _written_days(connection: Connection) -> set[date]:
    return {day for (day,) in connection.execute(f"select day from {WRITTEN}").fetchall()}


@contextmanager
def _opened(uri: str) -> Iterator[Connection]:
    """One transaction in the database, in which all tables are there; committed at the end unless an error ends it."""
    try:
        with _transaction(uri) as connection:
            for statement in _definitions(contracts().values()):
                connection.execute(statement)
            yield connection
    except duckdb.IOException as error:
        is_locked = "Could not set lock" in str(error)
        said = "it is in use by another process. Run again when that is done" if is_locked else _first_line(error)
        raise NotWritten(f"The business systems cannot write to {uri}: {said}.") from None
    except psycopg.Error as error:
        # Of the server alone: what the library says of an address can hold a piece of its password.
        said = error.diag.message_primary or "it was not reached, or did not let us in"
        raise NotWritten(f"The business systems cannot write to their PostgreSQL server: {said}.") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip(" .")


@contextmanager
def _transaction(uri: str) -> Iterator[Connection]:
    scheme = uri.partition("://")[0] if "://" in uri else ""
    if scheme in ("postgresql", "postgres"):
        with psycopg.connect(uri) as server:
            yield server
    elif scheme in ("", "duckdb"):
        path = Path(unquote(urlsplit(uri).path) if scheme else uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(path)) as file:
            file.begin()
            yield file
            file.commit()
    else:
        raise ValueError(f"There is no writer for {scheme}:// databases. Name a DuckDB file or a postgresql:// URI.")


def _definitions(tables: Iterable[TableContract]) -> Iterator[str]:
    """What makes the schema, the tables and their indexes where they are missing: the same SQL in both databases."""
    for schema in (SCHEMA, WRITTEN.split(".", maxsplit=1)[0]):
        yield f"create schema if not exists {schema}"
    yield f"create table if not exists {WRITTEN} (day date primary key)"
    for contract in tables:
        columns = [
            f"{column.name} {SQL_TYPES.get(column.type, column.type)}{'' if column.nullable else ' not null'}"
            for column in contract.columns
        ]
        keyed = [*columns, f"primary key ({', '.join(contract.key)})"]
        yield f"create table if not exists {SCHEMA}.{contract.table} ({', '.join(keyed)})"
        if contract.read == "changes":
            index = f"{contract.table}_changed_at"
            yield f"create index if not exists {index} on {SCHEMA}.{contract.table} (changed_at)"


def _happened_on(product: Product, day: int) -> str:
    return f"changed_at >= '{product.date_of(day)}' and changed_at < '{product.date_of(day + 1)}'"


def _append(connection: Connection, table: str, rows: pa.Table) -> None:
    if isinstance(connection, duckdb.DuckDBPyConnection):
        connection.register("new_rows", rows)
        connection.execute(f"insert into {SCHEMA}.{table} from new_rows")
        return
    text = io.BytesIO()
    # Quotes tell an empty text from a NULL, which stays bare. In one chunk: for an empty one the writer of pyarrow 26
    # repeats leftovers of its buffer.
    csv.write_csv(rows.combine_chunks(), text, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    with connection.cursor().copy(f"copy {SCHEMA}.{table} from stdin (format csv)") as copy:
        copy.write(text.getvalue())
