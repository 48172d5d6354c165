"""A landed table in figures. Few passes: one over all columns, one by landing day, the others over a few columns."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

import duckdb

from quality.profile.columns import measure_columns, with_unit
from quality.profile.declared import Declared
from quality.profile.findings import Column, Day, Grain, RowsPer, Table
from quality.profile.groups import Group, read_groups, split, with_groups
from quality.profile.keys import count_repeats, find_keys
from quality.profile.relation import RELATION, Landing, refused_of, show
from quality.profile.times import empty_between, lateness, rows_by_hour
from storage import engine
from storage.days import days_between

_MEASURES = ("DOUBLE", "FLOAT", "DECIMAL")  # what is measured identifies nothing


def measure(
    connection: duckdb.DuckDBPyConnection, declared: Declared, landings: Sequence[Landing]
) -> tuple[Table, list[Group]]:
    """Measure the landings of one table, at least one, in order of their days.

    Returns:
        The table without suspicions, and its rows by landing and kind.

    Raises:
        duckdb.Error: a file cannot be read, or the files do not fit each other.
    """
    read = landings if declared.is_daily else landings[-1:]
    types = show(connection, read)
    rows = sum(landing.outcome.accepted for landing in read)
    columns = measure_columns(connection, declared, types, rows)
    groups = read_groups(connection, declared, columns)
    columns = [with_unit(connection, with_groups(column, groups, rows), columns) for column in columns]
    days = tuple(_day(landing) for landing in landings)
    table = Table(
        source=declared.source,
        table=declared.table,
        name=declared.name,
        description=declared.description,
        is_daily=declared.is_daily,
        declared_key=declared.key,
        rows=rows,
        days=days,
        versions=1 + sum(one.outcome.content_hash != next_.outcome.content_hash for one, next_ in pairwise(landings)),
        missing_days=_missing(declared, days),
        columns=tuple(columns),
        grain=_grain(connection, declared, columns, rows, len(read)),
        rows_per=tuple(_rows_per(connection, columns, declared.key)),
        refused=tuple(_refused(connection, landings).most_common()),
        splits=split(declared, groups, [day.day for day in days]),
    )
    return _with_times(connection, declared, table, landings), groups


def _grain(
    connection: duckdb.DuckDBPyConnection, declared: Declared, columns: Sequence[Column], rows: int, landings: int
) -> Grain:
    whole = [
        column
        for column in columns
        if column.filled == rows and column.distinct > 1 and not column.type.startswith(_MEASURES)
    ]
    by_plausibility = sorted(
        whole, key=lambda column: (not column.name.endswith(("_id", "_code", "_key")), -column.distinct)
    )
    distinct = {column.name: column.distinct for column in by_plausibility}
    if declared.is_daily and landings > 1:
        distinct["dt"] = landings
    names = {column.name for column in columns}
    key = tuple(name for name in declared.key if name in names)
    keys = find_keys(connection, rows, distinct, [key, (*key, "dt")])
    if not key:
        return Grain(keys, 0, 0)
    repeats = 0 if key in keys else count_repeats(connection, key)
    within = repeats
    if repeats and declared.is_daily:
        within = 0 if (*key, "dt") in keys else count_repeats(connection, [*key, "dt"])
    return Grain(keys, repeats, within)


def _rows_per(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[Column], key: Sequence[str]
) -> Iterator[RowsPer]:
    """How many rows a value has, of the ids that are neither the key nor so few that all are listed."""
    for column in columns:
        is_id = column.name.endswith("_id") and column.name not in key and not column.values
        if is_id and 1 < column.distinct < column.filled:
            name = engine.name(column.name)
            ((values, median, p95, most),) = connection.execute(f"""
                select count(*), median(rows), quantile_disc(rows, 0.95), max(rows)
                from (select count(*) as rows from {RELATION} where {name} is not null group by {name})
            """).fetchall()
            if most > 1:
                yield RowsPer(column.name, values, median, p95, most)


def _refused(connection: duckdb.DuckDBPyConnection, landings: Sequence[Landing]) -> Counter[str]:
    refused = refused_of(landings)
    if not refused:
        return Counter()
    query = f"select reason, count(*) from ({refused}) group by all order by all"
    return Counter(dict(connection.execute(query).fetchall()))


def _day(landing: Landing) -> Day:
    outcome = landing.outcome
    size = landing.data.stat().st_size
    return Day(outcome.day, outcome.accepted, outcome.quarantined, outcome.duplicates, size)


def _missing(declared: Declared, days: Sequence[Day]) -> tuple[date, ...]:
    if not declared.is_daily:
        return ()
    landed = {day.day for day in days}
    return tuple(day for day in days_between(days[0].day, days[-1].day) if day not in landed)


def _with_times(
    connection: duckdb.DuckDBPyConnection, declared: Declared, table: Table, landings: Sequence[Landing]
) -> Table:
    if not declared.event_time or not table.rows:
        return table
    within = (table.days[0].day, table.days[-1].day) if declared.is_daily else None
    empty_days, empty_hours = empty_between(connection, declared.event_time, within)
    return replace(
        table,
        event_time=declared.event_time,
        hours=rows_by_hour(connection, declared.event_time),
        empty_days=empty_days,
        empty_hours=empty_hours,
        lateness=lateness(connection, declared, landings) if declared.received_time else None,
    )
