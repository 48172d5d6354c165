"""The columns of a table in figures: one pass over all of them, and one more for what the first makes worth asking."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from math import inf
from typing import Any

import duckdb

from quality.profile.declared import Declared, DeclaredColumn
from quality.profile.findings import Column, Spread
from quality.profile.relation import RELATION
from quality.report import PERSONAL
from storage import engine

LISTED_VALUES = 40
"""A column with at most so many values has all of them listed."""
# Up to so many rows distinct values and quantiles are counted; beyond they are estimated, distinct values in a seventh
# of the time (six columns of the demo's million events: 0.1 s, not 0.7) and quantiles in bounded memory.
EXACT_ROWS = 200_000
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FEWEST_PERSONAL = 100
"""Of fewer rows, the quantiles of a personal column would be single people's."""
# Ten times as far from the median as 98% of all rows: of a log-normal column (sigma 1) 3 rows in a million are.
OUTLIER_FACTOR = 10
# Amounts of different currencies, or figures of different units, in one column: the demo's rates span four powers of
# ten, a subscription's price in any one currency not even one.
MANY_UNITS = 10_000
_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("DOUBLE", "FLOAT", "DECIMAL"),
)
_MOMENTS = ("DATE", "TIMESTAMP")


def measure_columns(
    connection: duckdb.DuckDBPyConnection, declared: Declared, types: Mapping[str, str], rows: int
) -> list[Column]:
    """Measure all columns of `RELATION`, given their types and its number of rows."""
    asked = {
        (name, measured): expression
        for name, kind in types.items()
        for measured, expression in _measures(engine.name(name), kind, is_exact=rows <= EXACT_ROWS)
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
        name = engine.name(column.name)
        if column.spread and 0 < column.spread.outlier_limit < inf:
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


def is_listed(column: Column) -> bool:
    """Whether its values may, and should, be shown one by one."""
    is_one_a_row = column.distinct == column.filled > 1
    is_measured = column.type in {"DOUBLE", "FLOAT"} or column.type.startswith("TIMESTAMP")
    return not column.is_personal and not is_measured and not is_one_a_row and 0 < column.distinct <= LISTED_VALUES


def spans_many_powers(spread: Spread) -> bool:
    """Whether all but 2% of the values lie further apart than those of one unit mostly do."""
    low, high = spread.quantiles[0], spread.quantiles[-1]
    return low > 0 and high / low >= MANY_UNITS


def with_unit(connection: duckdb.DuckDBPyConnection, column: Column, columns: Sequence[Column]) -> Column:
    """If a column's values lie far apart: the column within whose values they do not, for half of these at least."""
    if not column.spread or not spans_many_powers(column.spread):
        return column
    name, found = engine.name(column.name), []
    for other in columns:
        if other.type == "VARCHAR" and is_listed(other) and other.distinct > 1:
            ((apart,),) = connection.execute(f"""
                select median(apart) from (
                    select quantile_disc({name}, 0.99) / quantile_disc({name}, 0.01) as apart
                    from {RELATION} where {name} > 0 group by {engine.name(other.name)}
                )
            """).fetchall()
            found.append((apart or inf, other.name))
    apart, unit = min(found, default=(inf, ""))
    return replace(column, spread=replace(column.spread, unit=unit)) if apart < MANY_UNITS / 10 else column
