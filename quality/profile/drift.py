"""What changes within the window of a profile: columns that get, or lose, values, and values that come or go."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from quality.profile.findings import Column, Found, Table
from quality.profile.groups import Group
from quality.profile.words import listed, share

DEVIATIONS = 6
"""A count is taken for chance within so many standard deviations of what was to be expected."""
# By so much has the share of nulls to move. In five simulated products that of events without a user falls by 5 to 7
# points when the crowd of the launch has signed up: at 0.05 each of them is named.
NULL_SHIFT = 0.1
# A value that is missing on days on which its share leads to expect so many rows is not missing by chance.
EXPECTED_ROWS = 30
# Nor is it before it was missing for so many days: an old release has a last user long before its last one.
ABSENT_DAYS = 3


def null_shift(table: Table, column: Column, groups: Sequence[Group]) -> Found:
    """Whether from some day on another share of rows has no value, of the kinds of rows that ever have one."""
    if not table.is_daily or not 0 < column.filled < column.expected:
        return
    kinds = {group.kind for group in groups if group.filled[column.name]}
    rows, filled = Counter[date](), Counter[date]()
    for group in groups:
        if group.kind in kinds:
            rows[group.day] += group.rows
            filled[group.day] += group.filled[column.name]
    days = sorted(rows)
    first = min(day for day in days if filled[day])
    empty = sum(rows[day] for day in days if day < first)
    since = sum(rows[day] for day in days) - empty
    if column.filled / since * empty >= EXPECTED_ROWS:
        nulls = f", {share(1 - column.filled / since)} since" if column.filled < since else ""
        yield "note", f"has values since {first} only", f"null in all {empty:,} rows before{nulls}"
        return
    was, became, day = _sharpest_shift(days, rows, filled)
    if day and abs(was - became) >= NULL_SHIFT:
        yield "odd", f"is null in another share of rows since {day}", f"{share(was)} before, {share(became)} since"


def _sharpest_shift(
    days: Sequence[date], rows: Counter[date], filled: Counter[date]
) -> tuple[float, float, date | None]:
    """The shares of nulls before and since the day that parts them best: of all days the one that explains most.

    The largest difference of two shares may be of a handful of rows at either end. No day when it may be chance.
    """
    all_rows, all_filled = rows.total(), filled.total()
    chance = DEVIATIONS**2 * all_filled * (all_rows - all_filled) / all_rows
    best: tuple[float, float, float, date | None] = (chance, 0, 0, None)
    before = before_filled = 0
    for day, next_day in pairwise(days):
        before, before_filled = before + rows[day], before_filled + filled[day]
        after = all_rows - before
        if before and after:
            was, became = 1 - before_filled / before, 1 - (all_filled - before_filled) / after
            explained = (was - became) ** 2 * before * after
            if explained > best[0]:
                best = explained, was, became, next_day
    return best[1:]


def comings_and_goings(table: Table, column: Column, groups: Sequence[Group]) -> Found:
    """Values that the first or the last days do not have, although their share next to these leads to expect them."""
    if not table.is_daily or column.type.startswith("DECIMAL") or len(column.values) < 2 or len(table.days) < 4:
        return
    rows: Counter[date] = Counter()
    counts: dict[str, Counter[date]] = {value.text: Counter() for value in column.values}
    for group in groups:
        rows[group.day] += group.filled[column.name]
        for text, count in group.values.get(column.name, {}).items():
            counts[text][group.day] += count
    days = [day for day in sorted(rows) if rows[day]]
    new = [(first, text) for text, of in counts.items() if (first := _absent_until(of, rows, days))]
    gone = [(last, text) for text, of in counts.items() if (last := _absent_until(of, rows, days[::-1]))]
    if new:
        yield "note", "has values that came later", listed([f"{text} since {first}" for first, text in sorted(new)])
    if gone:
        yield "note", "has values that are gone", listed([f"{text} until {last}" for last, text in sorted(gone)])


def _absent_until(counts: Counter[date], rows: Counter[date], days: Sequence[date]) -> date | None:
    """The first of these days with a value; None when that it is absent on those before it may be chance."""
    place = next(place for place, day in enumerate(days) if counts[day])
    next_to_it = days[place : place + ABSENT_DAYS]
    usual = sum(counts[day] for day in next_to_it) / sum(rows[day] for day in next_to_it)
    absent = sum(rows[day] for day in days[:place])
    return days[place] if place >= ABSENT_DAYS and usual * absent >= EXPECTED_ROWS else None
