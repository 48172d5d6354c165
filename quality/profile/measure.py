"""A landed table in figures. Few passes: one over all columns, one by landing day, the others over a few columns."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any

import duckdb

from quality.gate import PERSONAL
from quality.profile.findings import (
    MANY_UNITS,
    Column,
    Day,
    Declared,
    DeclaredColumn,
    Grain,
    Landing,
    RowsPer,
    Spread,
    Table,
    Value,
)
from quality.profile.keys import count_repeats, find_keys, quoted
from quality.profile.times import empty_between, lateness, rows_by_hour
from storage.days import days_between

LISTED_VALUES = 40
"""A column with at most so many values has all of them listed."""
# Counting is exact up to so many rows; beyond, distinct values and quantiles are estimated, at a tenth of the time.
EXACT_ROWS = 200_000
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FEWEST_PERSONAL = 100
"""Of fewer rows, the quantiles of a personal column would be single people's."""
# Ten times as far from the middle as 99% of all rows: of a log-normal column (sigma 1) 2 rows in a million are.
OUTLIER_FACTOR = 10

RELATION = "profiled"
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "DOUBLE", "FLOAT", "DECIMAL")
_MOMENTS = ("DATE", "TIMESTAMP")
_MEASURES = ("DOUBLE", "FLOAT", "DECIMAL")  # what is measured identifies nothing


@dataclass(frozen=True)
class Group:
    """The rows of one landing and kind."""

    day: date
    kind: str | None
    rows: int
    filled: Mapping[str, int]
    values: Mapping[str, Mapping[str, int]]


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
    types = _show(connection, read)
    rows = sum(landing.outcome.accepted for landing in read)
    columns = _columns(connection, declared, types, rows)
    groups = _groups(connection, declared, columns)
    columns = [_with_unit(connection, _with_groups(column, groups, rows), columns) for column in columns]
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
        splits=_splits(declared, groups, [day.day for day in days]),
    )
    return _with_times(connection, declared, table, landings), groups


def _show(connection: duckdb.DuckDBPyConnection, landings: Sequence[Landing]) -> dict[str, str]:
    """Give the landings the name `RELATION`, with their day `dt`. Returns the other columns' types."""
    files = ", ".join("'" + str(landing.data).replace("'", "''") + "'" for landing in landings)
    connection.execute(f"""
        create or replace temp view {RELATION} as
        from read_parquet([{files}], hive_partitioning = true, union_by_name = true)
    """)
    described = connection.execute(f"describe {RELATION}").fetchall()
    return {name: kind for name, kind, *_ in described if name != "dt"}


def _columns(
    connection: duckdb.DuckDBPyConnection, declared: Declared, types: Mapping[str, str], rows: int
) -> list[Column]:
    asked = {
        (name, measured): expression
        for name, kind in types.items()
        for measured, expression in _measures(quoted(name), kind, is_exact=rows <= EXACT_ROWS)
    }
    (answer,) = connection.execute(f"select {', '.join(asked.values())} from {RELATION}").fetchall()
    found: dict[str, dict[str, Any]] = {name: {} for name in types}
    for (name, measured), value in zip(asked, answer, strict=True):
        found[name][measured] = value
    columns = [
        _column(name, kind, declared.columns.get(name), found[name], is_exact=rows <= EXACT_ROWS)
        for name, kind in types.items()
    ]
    return _looked_at_closely(connection, columns)


def _measures(name: str, kind: str, *, is_exact: bool) -> Iterator[tuple[str, str]]:
    yield "filled", f"count({name})"
    yield "distinct", f"count(distinct {name})" if is_exact else f"approx_count_distinct({name})"
    yield "first", f"min({name})::varchar"
    yield "last", f"max({name})::varchar"
    if kind == "VARCHAR":
        yield "shortest", f"min(length({name}))"
        yield "longest", f"max(length({name}))"
        yield "blank", f"count_if({name} = '')"
        yield "untrimmed", f"count_if({name} <> trim({name}))"
    elif kind.startswith(_NUMBERS):
        quantile = "quantile_cont" if is_exact else "approx_quantile"
        yield "quantiles", f"{quantile}({name}::double, {list(QUANTILES)})"
    elif kind.startswith(_MOMENTS):
        yield "future", f"count_if({name} >= dt + interval 2 day)"


def _column(
    name: str, kind: str, declared: DeclaredColumn | None, found: Mapping[str, Any], *, is_exact: bool
) -> Column:
    # Of what nobody declared nobody knows what it holds.
    is_personal = name in PERSONAL or declared is None or declared.is_personal
    least, most = (found["first"], found["last"]) if not is_personal else (None, None)
    spread = None
    if (quantiles := found.get("quantiles")) and (not is_personal or found["filled"] >= FEWEST_PERSONAL):
        limit = _outlier_limit(quantiles)
        spread = Spread(tuple(quantiles), least and float(least), most and float(most), limit)
    return Column(
        name=name,
        type=kind,
        filled=found["filled"],
        distinct=found["distinct"],
        is_exact=is_exact,
        expected=found["filled"],
        declared=declared,
        is_personal=is_personal,
        first=least or "",
        last=most or "",
        shortest=found.get("shortest") or 0,
        longest=found.get("longest") or 0,
        blank=found.get("blank") or 0,
        untrimmed=found.get("untrimmed") or 0,
        future=found.get("future") or 0,
        spread=spread,
    )


def _outlier_limit(quantiles: Sequence[float]) -> float:
    """How far from the middle a value is an outlier."""
    lowest, *_, highest = quantiles
    middle = quantiles[len(quantiles) // 2]
    return OUTLIER_FACTOR * max(highest - middle, middle - lowest)


def _looked_at_closely(connection: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> list[Column]:
    """Answer what only the figures of the first pass make worth asking, in one more."""
    asked: dict[tuple[str, str], str] = {}
    for column in columns:
        name = quoted(column.name)
        if column.spread and column.spread.outlier_limit:
            beyond = f"abs({name} - {column.spread.median!r}) > {column.spread.outlier_limit!r}"
            asked[column.name, "outliers"] = f"count_if({beyond})"
        if column.type == "VARCHAR" and not column.is_personal and column.filled:
            if column.distinct <= EXACT_ROWS // 10:
                asked[column.name, "variants"] = f"count(distinct {name}) - count(distinct lower(trim({name})))"
            for kind in ("double", "date"):
                if all(_casts(text, kind) for text in (column.first, column.last)):
                    asked[column.name, kind] = f"bool_and(try_cast({name} as {kind}) is not null)"
    if not asked:
        return list(columns)
    (answer,) = connection.execute(f"select {', '.join(asked.values())} from {RELATION}").fetchall()
    found = dict(zip(asked, answer, strict=True))
    return [
        replace(
            column,
            spread=column.spread and replace(column.spread, outliers=found.get((column.name, "outliers")) or 0),
            variants=found.get((column.name, "variants")) or 0,
            looks_like=(
                "numbers" if found.get((column.name, "double")) else "dates" if found.get((column.name, "date")) else ""
            ),
        )
        for column in columns
    ]


def _casts(text: str, kind: str) -> bool:
    """Whether a text may be a number or a date, roughly: the database decides."""
    try:
        float(text) if kind == "double" else date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _is_listed(column: Column) -> bool:
    """Whether its values may, and should, be shown one by one."""
    is_one_a_row = column.distinct == column.filled > 1
    is_measured = column.type in {"DOUBLE", "FLOAT"} or column.type.startswith("TIMESTAMP")
    return not column.is_personal and not is_measured and not is_one_a_row and 0 < column.distinct <= LISTED_VALUES


def _groups(connection: duckdb.DuckDBPyConnection, declared: Declared, columns: Sequence[Column]) -> list[Group]:
    listed = [column.name for column in columns if _is_listed(column)]
    kind = f"{quoted(declared.kind)}::varchar" if declared.kind else "null"
    expressions = [
        *(f"count({quoted(column.name)})" for column in columns),
        *(f"histogram({quoted(name)}::varchar)" for name in listed),
    ]
    grouped = connection.execute(f"""
        select dt, {kind} as kind, count(*), {", ".join(expressions)} from {RELATION} group by dt, kind order by all
    """).fetchall()
    names = [column.name for column in columns]
    return [
        Group(
            day=day,
            kind=of_kind,
            rows=rows,
            filled=dict(zip(names, counts, strict=False)),
            values={name: counted or {} for name, counted in zip(listed, counts[len(names) :], strict=True)},
        )
        for day, of_kind, rows, *counts in grouped
    ]


def _with_groups(column: Column, groups: Sequence[Group], rows: int) -> Column:
    """Add the values, and how many rows could have one: those of the kinds that ever do."""
    filling = {group.kind for group in groups if group.filled[column.name]}
    expected = sum(group.rows for group in groups if group.kind in filling) if filling else rows
    counted: Counter[str] = Counter()
    days: dict[str, list[date]] = {}
    for group in groups:
        for text, count in group.values.get(column.name, {}).items():
            counted[text] += count
            days.setdefault(text, []).append(group.day)
    if not counted:
        return replace(column, expected=expected)
    values = tuple(Value(text, count, min(days[text]), max(days[text])) for text, count in counted.most_common())
    return replace(column, expected=expected, values=values, distinct=len(values), is_exact=True)


def _with_unit(connection: duckdb.DuckDBPyConnection, column: Column, columns: Sequence[Column]) -> Column:
    """If a column's values lie far apart: the column within whose values they do not, for half of these at least."""
    if not column.spread or not column.spread.spans_many_powers:
        return column
    name, found = quoted(column.name), []
    for other in columns:
        if other.type == "VARCHAR" and _is_listed(other) and other.distinct > 1:
            ((apart,),) = connection.execute(f"""
                select median(apart) from (
                    select quantile_disc({name}, 0.99) / quantile_disc({name}, 0.01) as apart
                    from {RELATION} where {name} > 0 group by {quoted(other.name)}
                )
            """).fetchall()
            found.append((apart, other.name))
    apart, unit = min(found, default=(None, ""))
    return replace(column, spread=replace(column.spread, unit=unit)) if apart and apart < MANY_UNITS / 10 else column


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
    keys = find_keys(connection, RELATION, rows, distinct, [key, (*key, "dt")])
    if not key:
        return Grain(keys, 0, 0)
    repeats = 0 if key in keys else count_repeats(connection, RELATION, key)
    within = repeats
    if repeats and declared.is_daily:
        within = 0 if (*key, "dt") in keys else count_repeats(connection, RELATION, [*key, "dt"])
    return Grain(keys, repeats, within)


def _rows_per(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[Column], key: Sequence[str]
) -> Iterator[RowsPer]:
    """How many rows a value has, of the ids that are neither the key nor so few that all are listed."""
    for column in columns:
        is_id = column.name.endswith("_id") and column.name not in key and not column.values
        if is_id and 1 < column.distinct < column.filled:
            name = quoted(column.name)
            ((values, median, p95, most),) = connection.execute(f"""
                select count(*), median(rows), quantile_disc(rows, 0.95), max(rows)
                from (select count(*) as rows from {RELATION} where {name} is not null group by {name})
            """).fetchall()
            if most > 1:
                yield RowsPer(column.name, values, median, p95, most)


def _refused(connection: duckdb.DuckDBPyConnection, landings: Sequence[Landing]) -> Counter[str]:
    files = [str(landing.quarantine) for landing in landings if landing.quarantine]
    if not files:
        return Counter()
    query = "select reason, count(*) from read_parquet($files, union_by_name = true) group by all order by all"
    return Counter(dict(connection.execute(query, {"files": files}).fetchall()))


def _splits(declared: Declared, groups: Sequence[Group], days: Sequence[date]) -> dict[str, dict[str, tuple[int, ...]]]:
    splits: dict[str, dict[str, tuple[int, ...]]] = {}
    for name in declared.split_by:
        counted: Counter[tuple[str, date]] = Counter()
        for group in groups:
            for text, count in group.values.get(name, {}).items():
                counted[text, group.day] += count
        totals: Counter[str] = Counter()
        for (text, _), count in counted.items():
            totals[text] += count
        if totals:
            splits[name] = {text: tuple(counted[text, day] for day in days) for text, _ in totals.most_common()}
    return splits


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
    empty_days, empty_hours = empty_between(connection, RELATION, declared.event_time, within)
    return replace(
        table,
        event_time=declared.event_time,
        hours=rows_by_hour(connection, RELATION, declared.event_time),
        empty_days=empty_days,
        empty_hours=empty_hours,
        lateness=lateness(connection, RELATION, declared, landings) if declared.received_time else None,
    )
