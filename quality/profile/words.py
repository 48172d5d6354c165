"""A table in sentences, and figures as people read them."""

from collections.abc import Sequence
from datetime import date
from statistics import median

from quality.profile.findings import Previous, Profile, Table
from storage.days import describe_days

FEW_ROWS = 100
"""In so few rows columns may tell rows apart by chance."""


def grain(table: Table) -> str:
    """What one row is."""
    key, found = table.declared_key, table.grain.keys
    if not table.rows:
        return "There are no rows."
    if table.grain.repeats_within:
        return f"Declared as one row per {names(key)}, which {table.grain.repeats_within:,} rows break."
    if table.grain.repeats:
        return f"One row per {names(key)} and landing; {table.grain.repeats:,} rows come back in a later landing."
    if not key:
        return f"One row per {', or per '.join(map(names, found))}." if found else "No three columns tell rows apart."
    others = [one for one in found if set(one) != set(key)]
    if not others:
        return f"One row per {names(key)}, as declared."
    also = f"{' and '.join(map(names, others))} would do too"
    by_chance = ", perhaps by chance" if table.rows < FEW_ROWS else ""
    return f"One row per {names(key)}, as declared; {also}{by_chance}."


def rhythm(table: Table) -> str:
    """How often rows come."""
    days, rows = table.days, [day.rows for day in table.days]
    landings = f"{len(days)} landing{'s' if len(days) > 1 else ''}"
    if not table.is_daily:
        if len(days) == 1:
            return f"{landings}, {period(table)}, which holds everything."
        return f"{landings}, {period(table)}, each of everything; {table.versions - 1} of them changed something."
    missing = f"{describe_days(table.missing_days)} missing" if table.missing_days else "no day missing"
    empty = f", {rows.count(0)} without rows" if 0 in rows else ""
    return f"{landings}, {missing}{empty}; median {number(median(rows))} rows, {min(rows):,} to {max(rows):,}."


def period(table: Table) -> str:
    """The first and the last landing day."""
    return _from_to(table.days[0].day, table.days[-1].day)


def window(profile: Profile | Previous) -> str:
    """The landing days that a profile looks at."""
    return _from_to(profile.start, profile.end)


def span(profile: Profile) -> str:
    """How much a profile looks at; it is compared with others of the same."""
    days = profile.scope.days
    return "all that has landed" if days is None else f"{days} day{'s' if days > 1 else ''}"


def _from_to(first: date, last: date) -> str:
    return str(first) if first == last else f"{first} to {last}"


def names(key: Sequence[str]) -> str:
    """A set of columns."""
    return " + ".join("landing day" if name == "dt" else name for name in key)


def of(part: int, whole: int, things: str = "rows") -> str:
    """A part of a whole, and its share."""
    return f"{part:,} of {whole:,} {things} ({share(part / whole if whole else 0)})"


def listed(things: Sequence[str]) -> str:
    """The first of them, and how many more."""
    return ", ".join(things[:4]) + (f" and {len(things) - 4} more" if len(things) > 4 else "")


def number(value: float) -> str:
    """Whole numbers in full, others with four digits that count."""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{float(f'{value:.4g}'):,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def figure(value: float) -> str:
    """A number among the values of a column: up to four digits, as of a year, without a comma."""
    return number(value).replace(",", "") if abs(value) < 10_000 else number(value)


def share(value: float) -> str:
    """Two digits that count; never `100%` of what is not all, nor `0%` of what is something."""
    if 0.1 <= value <= 0.9 or value in {0, 1}:
        return f"{value:.0%}"
    if value > 0.9:
        return f"{min(value, 0.999):.1%}"
    return f"{float(f'{100 * value:.2g}')}%" if value >= 1e-6 else "< 0.0001%"


def size(count: int) -> str:
    """Bytes."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.0f} kB"
