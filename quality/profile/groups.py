"""The rows of each landing, by their kind: in which a column has values, and which."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import duckdb

from quality.profile.columns import is_listed
from quality.profile.declared import Declared
from quality.profile.findings import Column, Value
from quality.profile.relation import RELATION
from storage import engine


@dataclass(frozen=True)
class Group:
    """The rows of one landing and kind."""

    day: date
    kind: str | None
    rows: int
    filled: Mapping[str, int]
    values: Mapping[str, Mapping[str, int]]


def read_groups(connection: duckdb.DuckDBPyConnection, declared: Declared, columns: Sequence[Column]) -> list[Group]:
    """The rows of `RELATION`, grouped; in order of days and kinds."""
    listed = [column.name for column in columns if is_listed(column)]
    kind = f"{engine.name(declared.kind)}::varchar" if declared.kind else "null"
    expressions = [
        *(f"count({engine.name(column.name)})" for column in columns),
        *(f"histogram({engine.name(name)}::varchar)" for name in listed),
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


def with_groups(column: Column, groups: Sequence[Group], rows: int) -> Column:
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


def split(declared: Declared, groups: Sequence[Group], days: Sequence[date]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Rows of each of the `days`, by those columns that volume is split by, and their values."""
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
