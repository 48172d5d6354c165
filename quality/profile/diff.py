"""What changed since a table was last profiled, beyond what chance and a longer window change."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import sqrt
from statistics import median

from quality.profile.drift import DEVIATIONS, EXPECTED_ROWS
from quality.profile.findings import Change, Column, Previous, Profile, Table
from quality.profile.words import figure, listed, share

# Profiles of all that landed share most of their days: what moves a share by less would have moved a single new day by
# far more, and that day's own profile says so. Two windows may share no day: four weeks of the demo, compared one after
# another, differ by more in nothing but the columns that new versions of the apps fill, and in how many payments fall
# due.
SHARE_SHIFT = 0.02
LEVEL_SHIFT = 0.25
FEWEST_NUMBERS = 200
"""Of two columns with so many that come independently, the median of one leaves the middle half of the other once in
ten million times (the difference of both is 5.3 standard deviations away). Range 100 to 1,000: at 100 it is once in
4,000, and a project with some hundred columns is told of one each month; at 1,000, small tables are not compared."""


def compare(profile: Profile, earlier: Iterable[Profile]) -> Profile:
    """Add what changed, table by table, since the newest of the `earlier` profiles that is of as many days.

    All that has landed is compared with all that had landed, a week with a week: a single Sunday differs from both, and
    nothing changed.

    Args:
        profile: the new one.
        earlier: those before, newest first; read no further than needed.
    """
    wanted = {table.name: table for table in profile.tables}
    previous, changes, was_all_seen = list[Previous](), list[Change](), False
    for one in (one for one in earlier if one.scope.days == profile.scope.days):
        pairs = [(before, after) for before in one.tables if (after := wanted.pop(before.name, None))]
        changes += [change for before, after in pairs for change in _changes(before, after)]
        was_all_seen |= not one.scope.table
        if pairs:
            previous.append(Previous(one.profile_id, one.start, one.end))
        if not wanted:
            break
    if previous and was_all_seen:
        changes += [Change(name, "", "is new", "", f"{table.rows:,} rows") for name, table in wanted.items()]
    return replace(profile, previous=tuple(previous), changes=tuple(changes))


def _changes(before: Table, after: Table) -> Iterator[Change]:
    yield from _of_table(before, after)
    earlier = {column.name: column for column in before.columns}
    now = {column.name: column for column in after.columns}
    for name in earlier.keys() - now.keys():
        yield Change(after.name, name, "is gone", earlier[name].type, "")
    for name, column in now.items():
        if name in earlier:
            yield from (Change(after.name, name, *words) for words in _of_column(before, earlier[name], after, column))
        else:
            yield Change(after.name, name, "is new", "", column.type)


def _of_table(before: Table, after: Table) -> Iterator[Change]:
    levels = [median(day.rows for day in table.days) for table in (before, after)]
    if after.is_daily and _is_other_level(*levels):
        what = "has more rows a day" if levels[1] > levels[0] else "has fewer rows a day"
        yield Change(after.name, "", what, *(f"{level:,.0f}" for level in levels))
    if not after.is_daily and before.rows and not 1 - LEVEL_SHIFT <= after.rows / before.rows <= 1 + LEVEL_SHIFT:
        what = "has more rows" if after.rows > before.rows else "has fewer rows"
        yield Change(after.name, "", what, f"{before.rows:,}", f"{after.rows:,}")
    if bool(before.grain.repeats_within) != bool(after.grain.repeats_within):
        what = "breaks its declared key" if after.grain.repeats_within else "keeps its declared key again"
        yield Change(after.name, "", what, *(f"{one.grain.repeats_within:,} repeats" for one in (before, after)))
    shares = [_refused(table) for table in (before, after)]
    if abs(shares[1] - shares[0]) >= SHARE_SHIFT:
        yield Change(after.name, "", "has another share of records refused", *map(share, shares))


def _is_other_level(before: float, after: float) -> bool:
    is_rare = abs(after - before) > DEVIATIONS * sqrt(max(before, 1))
    return is_rare and not before * (1 - LEVEL_SHIFT) <= after <= before * (1 + LEVEL_SHIFT)


def _refused(table: Table) -> float:
    refused = sum(day.quarantined for day in table.days)
    return refused / max(1, refused + sum(day.rows for day in table.days))


def _of_column(before_in: Table, before: Column, after_in: Table, after: Column) -> Iterator[tuple[str, str, str]]:
    if before.type != after.type:
        yield "has another type", before.type, after.type
    if min(before.expected, after.expected) and _is_other_share(before, after):
        yield "is null in another share of rows", share(before.null_share), share(after.null_share)
    is_key = (before.name,) in before_in.grain.keys  # a numeric one keeps counting up
    if before.spread and after.spread and not is_key and min(before.filled, after.filled) >= FEWEST_NUMBERS:
        low, high = before.spread.middle_half
        if not low <= after.spread.median <= high:
            yield "has another median", figure(before.spread.median), figure(after.spread.median)
    was, became = ({value.text: value.rows for value in column.values} for column in (before, after))
    if not was or not became:
        return
    if new := [text for text in became if text not in was]:
        yield "has new values", "", listed([f"{text} ({became[text]:,})" for text in new])
    grown = after_in.rows / max(before_in.rows, 1)
    if gone := [text for text, rows in was.items() if text not in became and rows * grown >= EXPECTED_ROWS]:
        yield "has lost values", listed([f"{text} ({was[text]:,})" for text in gone]), ""


def _is_other_share(before: Column, after: Column) -> bool:
    was, became = before.null_share, after.null_share
    pooled = 1 - (before.filled + after.filled) / (before.expected + after.expected)
    chance = sqrt(pooled * (1 - pooled) * (1 / before.expected + 1 / after.expected))
    return abs(became - was) >= SHARE_SHIFT and abs(became - was) > DEVIATIONS * chance
