"""What landing a day of an upstream table costs, against other ways to get it from PostgreSQL into a Parquet file.

    python -m benchmarks.extract --rows 2000000 [--runs 3] [--json]

Starts a PostgreSQL server of its own. The ways run in turn, each in a process of its own; imports do not count, the
server's own work does. Only ours checks, counts, pseudonymises and sorts, and quarantines what is wrong. connectorx
and pandas over SQLAlchemy are measured where they are installed (requirements/bench.txt).
"""

import importlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import adbc_driver_postgresql.dbapi
import duckdb
import psycopg
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from contracts.tables import load_table_contracts
from ingestion.extracts import stage_extracts
from storage.lake import Lake
from storage.settings import Settings
from tests.unit.postgres_server import postgres_server

DAY = date(2026, 2, 14)
CONTRACTS = load_table_contracts()
PAYMENTS = f"select * from business.payments where changed_at >= '{DAY}' and changed_at < date '{DAY}' + 1"


def write_payments(uri: str, rows: int) -> None:
    """All upstream tables, and `rows` payments of one day in one of them."""
    with psycopg.connect(uri) as connection:
        connection.execute("create schema business")
        for name, contract in CONTRACTS.items():
            columns = ", ".join(f"{column.name} {column.type}" for column in contract.columns)
            key = ", ".join(contract.key)
            connection.execute(f"create table business.{name} ({columns}, primary key ({key}))".encode())
        connection.execute(
            """
            insert into business.payments
            select
                n, timestamp '2026-02-14' + n * interval '86399 seconds' / %(rows)s, 'p_' || md5(n::text),
                's_' || md5((n / 3)::text), 'u_' || md5((n / 5)::text), 'charge',
                (array['pending', 'settled', 'failed'])[n %% 3 + 1], (n %% 3000)::numeric / 100,
                (array['USD', 'EUR', 'BRL', 'JPY'])[n %% 4 + 1], timestamp '2026-02-14'
            from generate_series(1, %(rows)s) as n
            """,
            {"rows": rows},
        )
        connection.execute("create index on business.payments (changed_at)")
        connection.execute("analyze business.payments")


def adbc_alone(uri: str, scratch: Path) -> None:
    """ADBC's batches as they come; amounts stay text."""
    with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(PAYMENTS)
        reader = cursor.fetch_record_batch()
        with pq.ParquetWriter(scratch / "adbc.parquet", reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)


def ours(uri: str, scratch: Path) -> None:
    """A whole landing of all tables, of which the others are empty."""
    settings = Settings(data_dir=scratch, warehouse_uri=uri)  # type: ignore[arg-type] # pydantic makes it a secret
    stage_extracts(settings, Lake(settings.lake_dir), [DAY])


def with_connectorx(uri: str, scratch: Path) -> None:
    """The whole answer as one Arrow table; amounts as floats."""
    connectorx: Any = importlib.import_module("connectorx")
    pq.write_table(connectorx.read_sql(uri, PAYMENTS, return_type="arrow"), scratch / "cx.parquet", compression="zstd")


def with_copy(uri: str, scratch: Path) -> None:
    """COPY to a CSV file, which DuckDB reads with the contract's types."""
    rows = scratch / "payments.csv"
    with (
        psycopg.connect(uri) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"copy ({PAYMENTS}) to stdout (format csv)".encode()) as copy,
        rows.open("wb") as file,
    ):
        file.writelines(copy)
    types = {column.name: column.type for column in CONTRACTS["payments"].columns}
    with duckdb.connect(config={"memory_limit": "1GB"}) as database:
        database.execute(f"""
            copy (from read_csv('{rows}', header = false, columns = {types}))
            to '{scratch}/copy.parquet' (format parquet, compression zstd)
        """)


def with_pandas(uri: str, scratch: Path) -> None:
    """Frames of 100,000 rows through a server-side cursor, joined, to one file."""
    pandas, sqlalchemy = (importlib.import_module(name) for name in ("pandas", "sqlalchemy"))
    engine = sqlalchemy.create_engine(uri.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect().execution_options(stream_results=True) as connection:
        chunks = pandas.read_sql(sqlalchemy.text(PAYMENTS), connection, chunksize=100_000)
        pandas.concat(chunks).to_parquet(scratch / "pandas.parquet", compression="zstd")


# way: what it runs, and the library that it needs
WAYS: dict[str, tuple[Callable[[str, Path], None], str]] = {
    "ADBC alone": (adbc_alone, ""),
    "ours": (ours, ""),
    "connectorx": (with_connectorx, "connectorx"),
    "psycopg COPY, CSV": (with_copy, ""),
    "SQLAlchemy, pandas": (with_pandas, "sqlalchemy"),
}


def _run(way: str, uri: str) -> None:
    work, library = WAYS[way]
    for name in filter(None, ("pandas" if library == "sqlalchemy" else "", library)):
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as scratch:
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        work(uri, Path(scratch))
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures = {"seconds": seconds, "cpu": cpu, "peak_mb": after.ru_maxrss / 1024, "idle_mb": before.ru_maxrss / 1024}
    print(json.dumps(figures))


def _measure(way: str, uri: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.extract", "--way", way, "--uri", uri]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return result


def main(
    rows: Annotated[int, typer.Option(help="Payments of the day.")] = 2_000_000,
    runs: Annotated[int, typer.Option(help="Runs of each way; the median counts.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,  # noqa: FBT002
    way: Annotated[str, typer.Option(hidden=True)] = "",
    uri: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure every way that is installed."""
    if way:
        _run(way, uri)
        return
    console = Console(stderr=True)
    ways = [name for name, (_, library) in WAYS.items() if not library or importlib.util.find_spec(library)]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    with postgres_server() as server, console.status("Writing rows"):
        write_payments(server, rows)
        for turn in range(runs):
            for name in ways:
                console.log(f"run {turn + 1} of {runs}: {name}")
                results[name].append(_measure(name, server))
    medians = {
        name: {key: statistics.median(run[key] for run in measured) for key in measured[0]}
        for name, measured in results.items()
    }
    if as_json:
        print(json.dumps({"rows": rows, "runs": runs, "ways": medians}, indent=1))
        return
    table = Table("way", title=f"One day of {rows:,} payments from PostgreSQL, median of {runs}")
    for heading in ("rows / s", "elapsed s", "CPU s", "peak MB", "of it imports"):
        table.add_column(heading, justify="right")
    for name, median in medians.items():
        figures = (rows / median["seconds"], median["seconds"], median["cpu"], median["peak_mb"], median["idle_mb"])
        table.add_row(name, *(f"{figure:,.{digits}f}" for figure, digits in zip(figures, (0, 2, 2, 0, 0), strict=True)))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
