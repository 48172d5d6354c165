"""Which columns tell rows apart: the smallest sets of them, proven on all rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import prod
from typing import Any

import duckdb

from quality.profile.relation import RELATION
from storage import engine

LARGEST_KEY = 3
SHOWN_KEYS = 3
SAMPLE_ROWS = 5_000
"""As many rows are fetched to refute sets of columns; a table with no more is judged by them alone."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class _Sample:
    """Some rows. A set of columns that repeats itself in them is no key; `proves` which sets are one if it does not."""

    columns: Mapping[str, Sequence[Any]]
    proves: str | None
    """Sets with this column, because each row is here whose value of it is not its own. Empty: all sets."""

    def refutes(self, key: Key) -> bool:
        values = [self.columns[name] for name in key]
        return len(set(zip(*values, strict=True))) < len(values[0])


def find_keys(
    connection: duckdb.DuckDBPyConnection,
    rows: int,
    distinct: Mapping[str, int],
    expected: Sequence[Key] = (),
) -> tuple[Key, ...]:
    """The sets of columns, of the smallest size that has any, in which no two rows of `RELATION` agree.

    At most `SHOWN_KEYS`.

    Args:
        connection: where `RELATION` is.
        rows: how many rows it has.
        distinct: how many values each column has that may be part of a key, about. None of them is NULL.
        expected: sets to try, and to give, before others of their size.
    """
    if rows < 2 or not distinct:
        return ()
    samples = list(_samples(connection, rows, distinct))
    for size in range(1, LARGEST_KEY + 1):
        wanted = [key for key in expected if len(key) == size and distinct.keys() >= set(key)]
        others = [key for key in combinations(distinct, size) if set(key) not in map(set, wanted)]
        # The numbers are estimates, off by a few percent: at most half as many combinations as rows is too few.
        possible = [key for key in (*wanted, *others) if prod(distinct[name] for name in key) > rows / 2]
        left = (key for key in possible if not any(sample.refutes(key) for sample in samples))
        if found := tuple(islice(_proven(connection, samples, left), SHOWN_KEYS)):
            return found
    return ()


def count_repeats(connection: duckdb.DuckDBPyConnection, key: Sequence[str]) -> int:
    """Rows of `RELATION` that agree in all columns of `key`, NULL included, with a row that was counted already."""
    columns = ", ".join(map(engine.name, key))
    query = (
        f"select (select count(*) from {RELATION}) - (select count(*) from (select distinct {columns} from {RELATION}))"
    )
    return int(connection.execute(query).fetchall()[0][0])


def _samples(connection: duckdb.DuckDBPyConnection, rows: int, distinct: Mapping[str, int]) -> Iterator[_Sample]:
    """Rows that lie together; and for each column with nearly as many values as rows, those whose value is repeated.

    The latter decide about all sets with an id or a moment. On the demo's million events that takes 2 s; with the first
    rows alone, sets that survive them had to be counted in full, which took 4.5 s.
    """
    columns = ", ".join(map(engine.name, distinct))
    first = connection.execute(f"select {columns} from {RELATION} limit {SAMPLE_ROWS}").fetchall()
    yield _sample(distinct, first, "" if rows <= SAMPLE_ROWS else None)
    if rows <= SAMPLE_ROWS:
        return
    for name, values in distinct.items():
        if values > rows / 2:
            repeated = connection.execute(f"""
                select {columns} from {RELATION}
                where {engine.name(name)} in (
                    select {engine.name(name)} from {RELATION} group by all having count(*) > 1 limit {SAMPLE_ROWS}
                )
                limit {SAMPLE_ROWS}
            """).fetchall()
            yield _sample(distinct, repeated, name if len(repeated) < SAMPLE_ROWS else None)


def _sample(names: Mapping[str, int], rows: Sequence[tuple[Any, ...]], proves: str | None) -> _Sample:
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return _Sample(dict(zip(names, columns, strict=True)), proves)


def _proven(connection: duckdb.DuckDBPyConnection, samples: Sequence[_Sample], keys: Iterator[Key]) -> Iterator[Key]:
    for key in keys:
        is_proven = any(sample.proves == "" or sample.proves in key for sample in samples if sample.proves is not None)
        if is_proven or not count_repeats(connection, key):
            yield key
