"""DuckDB as this project uses it: bounded, in UTC, and without fetching anything."""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from storage.settings import Settings


def connect(settings: Settings, database: Path | None = None, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open `database`, or an in-memory one, with the project's limits.

    Drain results (`execute(...).fetchall()`): a connection with an unread result refuses the next relation.

    Raises:
        duckdb.IOException: the file is missing (read-only) or locked by another process.
    """
    spill = settings.data_dir / "tmp"
    spill.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        str(database or ":memory:"),
        read_only=read_only,
        config={
            "memory_limit": settings.duckdb_memory_limit,
            "threads": settings.duckdb_threads,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("load icu")
    connection.execute("set TimeZone = 'UTC'")
    return connection


def text(value: object) -> str:
    """A string of SQL, for what cannot be a parameter: in a view, or the path of a copy."""
    return "'" + str(value).replace("'", "''") + "'"


def name(identifier: str) -> str:
    """A name of SQL, whatever it is made of."""
    return '"' + identifier.replace('"', '""') + '"'


def files(paths: Iterable[Path]) -> str:
    """A list of SQL: the paths, for a reader."""
    return f"[{', '.join(map(text, paths))}]"
