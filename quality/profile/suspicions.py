"""What is odd about a table, in words. Few and true: each rule has a threshold that clean data stays away from."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from math import sqrt
from statistics import median

from quality.profile.findings import WEIGHTS, Column, Suspicion, Table, Value, Weight
from quality.profile.measure import Group
from quality.profile.words import number, of, period, share
from storage.days import describe_days

# A column of fewer rows holds one value, or none, by chance.
FEWEST_ROWS = 20
# A count of rows is taken for chance within so many standard deviations of what the days around it had (Poisson), and
# within a factor.
DEVIATIONS, FACTOR = 6, 2
# A share of nulls that moves by less is weather: the mix of platforms and releases moves it by 2 to 6 points.
NULL_SHIFT = 0.1
# A value that is missing on days on which its share leads to expect so many rows is not missing by chance.
EXPECTED_ROWS = 30
# Nor is it before it was missing for so many days: an old release has a last user long before its last one.
ABSENT_DAYS = 3
# Nearly a key: so many rows are told apart, and yet not all.
NEARLY = 0.95
PLACEHOLDERS = frozenset({"null", "none", "nan", "n/a", "undefined", "unknown", "-", "?", "test", "todo", "tbd"})
"""Texts that stand for no value. `NA` is not among them: it is Namibia."""

Found = Iterator[tuple[Weight, str, str]]
"""The weight, what is odd, and the evidence."""


def suspect(table: Table, groups: Sequence[Group]) -> Table:
    """Add to a table what is odd about it.

    Args:
        table: as it was measured.
        groups: its rows by landing and kind.
    """
    found = [
        *_of_table(table),
        *(
            Suspicion(weight, table.name, column.name, says, evidence)
            for column in table.columns
            for rule in _COLUMN_RULES
            for weight, says, evidence in rule(table, column, groups)
        ),
    ]
    return replace(table, suspicions=tuple(sorted(found, key=lambda one: WEIGHTS.index(one.weight))))


def _of_table(table: Table) -> Iterator[Suspicion]:
    for rule in (_key, _missing_columns, _no_rows, _empty_days, _volume, _refused):
        for weight, says, evidence in rule(table):
            yield Suspicion(weight, table.name, "", says, evidence)


def _key(table: Table) -> Found:
    grain, key = table.grain, ", ".join(table.declared_key)
    if grain.repeats_within:
        rows = "a landing" if table.is_daily else "the last landing"
        yield "wrong", f"the declared key {key} is repeated within {rows}", of(grain.repeats_within, table.rows)
    elif grain.repeats:
        text = f"{key} comes back in later landings: count it once"
        yield "note", text, f"{of(grain.repeats, table.rows)} repeat one of another landing"
    if table.rows >= FEWEST_ROWS and not grain.keys and (not table.declared_key or grain.repeats_within):
        yield "odd", "no three columns tell its rows apart", f"{table.rows:,} rows"


def _missing_columns(table: Table) -> Found:
    for column in table.columns:
        if column.declared is None:
            yield "odd", f"{column.name} is declared nowhere", f"{column.filled:,} rows have a value"


def _no_rows(table: Table) -> Found:
    if not table.rows:
        yield "odd", "there are no rows", f"{len(table.days)} landings of {period(table)}"


def _empty_days(table: Table) -> Found:
    if table.missing_days:
        yield "wrong", "days have not landed", describe_days(table.missing_days)
    rows = [day.rows for day in table.days]
    empty = [day for day in table.empty_days if day not in table.missing_days]
    if table.is_daily and empty and median(rows) >= EXPECTED_ROWS:
        yield "odd", f"no {table.event_time} lies on some days", describe_days(empty)
    if table.empty_hours and not table.missing_days and table.hours and median(rows) >= 24 * EXPECTED_ROWS:
        yield "odd", f"no {table.event_time} lies in some hours", f"{table.empty_hours} hours without a row"


def _volume(table: Table) -> Found:
    """Days that stand out from the three before and the three after."""
    if not table.is_daily:
        return
    rows = [day.rows for day in table.days]
    for place, day in enumerate(table.days):
        around = [*rows[max(0, place - 3) : place], *rows[place + 1 : place + 4]]
        if len(around) < 4:
            continue
        usual = median(around)
        is_rare = abs(day.rows - usual) > DEVIATIONS * sqrt(max(usual, 1))
        if is_rare and not usual / FACTOR <= day.rows <= usual * FACTOR:
            yield (
                "odd",
                f"{day.day} has {_times(day.rows, usual)}",
                f"{day.rows:,} rows, {usual:,.0f} on the days around",
            )


def _refused(table: Table) -> Found:
    refused, read = sum(rows for _, rows in table.refused), sum(day.rows + day.quarantined for day in table.days)
    if refused > 0.02 * read:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in table.refused[:3])
        yield "odd", "many records are refused", f"{of(refused, read, 'records')}: {reasons}"


def _type(table: Table, column: Column, _: Sequence[Group]) -> Found:
    declared = column.declared
    if declared and declared.type != column.type:
        yield "wrong", f"is {column.type}, and declared as {declared.type}", f"{column.filled:,} values"
    if declared and declared.required and column.filled < table.rows:
        yield "wrong", "is declared as always there, and is not", of(table.rows - column.filled, table.rows)


def _same(table: Table, column: Column, _: Sequence[Group]) -> Found:
    if table.rows < FEWEST_ROWS:
        return
    if not column.filled:
        yield "odd", "is always null", f"{table.rows:,} rows"
    elif column.distinct == 1 and column.filled == table.rows:
        value = f": {column.first}" if column.first else ""
        yield "note", "always has the same value", f"{table.rows:,} rows{value}"


def _text(_: Table, column: Column, __: Sequence[Group]) -> Found:
    if column.looks_like and column.distinct > 1:
        examples = "" if column.is_personal else f": {column.first} to {column.last}"
        yield "odd", f"is text, and holds nothing but {column.looks_like}", f"{column.filled:,} values{examples}"
    if column.variants:
        variants = _variants(column.values)
        yield "odd", "has values that differ by case or spaces alone", variants or f"{column.variants:,} values"
    elif column.untrimmed:
        yield "odd", "has spaces around its values", of(column.untrimmed, column.filled)
    if column.blank:
        yield "odd", "is empty text instead of null", of(column.blank, column.filled)
    if placeholders := [value for value in column.values if value.text.strip().casefold() in PLACEHOLDERS]:
        words = ", ".join(f"{value.text!r} {value.rows:,}" for value in placeholders)
        yield "odd", "has words that stand for no value", f"{words} of {column.filled:,} values"


def _variants(values: Sequence[Value]) -> str:
    alike: dict[str, list[Value]] = {}
    for value in values:
        alike.setdefault(value.text.strip().lower(), []).append(value)
    groups = [
        " and ".join(f"{one.text!r} ({one.rows:,})" for one in group) for group in alike.values() if len(group) > 1
    ]
    return "; ".join(groups[:3])


def _nearly_a_key(table: Table, column: Column, _: Sequence[Group]) -> Found:
    is_id = column.name.endswith(("_id", "_key")) and (column.name,) != table.declared_key
    if is_id and table.rows >= FEWEST_ROWS and column.filled == table.rows and column.is_exact:
        repeated = table.rows - column.distinct
        if 0 < repeated <= (1 - NEARLY) * table.rows:
            yield "odd", "is nearly a key", f"{of(repeated, table.rows)} repeat a value"


def _numbers(table: Table, column: Column, _: Sequence[Group]) -> Found:
    is_id = column.name.endswith(("_id", "_key")) or column.name in table.declared_key
    if is_id or not column.spread or column.filled < FEWEST_ROWS:
        return
    spread, low, high = column.spread, column.spread.quantiles[0], column.spread.quantiles[-1]
    if spread.unit:
        text = f"is of another unit for each {spread.unit}: add up nothing across them"
        yield "note", text, f"98% of its values are from {number(low)} to {number(high)}"
    elif spread.spans_many_powers:
        text = "spans many powers of ten: is it one unit?"
        yield "odd", text, f"98% of its values are from {number(low)} to {number(high)}"
    elif 0 < spread.outliers < column.filled / 100:
        most = f", up to {number(spread.most)}" if spread.most is not None else ""
        evidence = f"{of(spread.outliers, column.filled)}{most}; half are below {number(spread.median)}"
        yield "odd", "has outliers", evidence


def _times_of(table: Table, column: Column, __: Sequence[Group]) -> Found:
    if column.future:
        yield "odd", "lies in the future", f"{of(column.future, column.filled)} are more than a day after they landed"
    if column.first.startswith(("1970-01-01", "1900-01-01", "0001-01-01")) and column.type != "VARCHAR":
        yield "odd", "begins at the dawn of time", f"the first is {column.first} in {table.rows:,} rows"


def _null_shift(table: Table, column: Column, groups: Sequence[Group]) -> Found:
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


def _comings_and_goings(table: Table, column: Column, groups: Sequence[Group]) -> Found:
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
        yield "note", "has values that came later", _list([f"{text} since {first}" for first, text in sorted(new)])
    if gone:
        yield "note", "has values that are gone", _list([f"{text} until {last}" for last, text in sorted(gone)])


def _absent_until(counts: Counter[date], rows: Counter[date], days: Sequence[date]) -> date | None:
    """The first of these days with a value; None when that it is absent on those before it may be chance."""
    place = next(place for place, day in enumerate(days) if counts[day])
    next_to_it = days[place : place + ABSENT_DAYS]
    share = sum(counts[day] for day in next_to_it) / sum(rows[day] for day in next_to_it)
    absent = sum(rows[day] for day in days[:place])
    return days[place] if place >= ABSENT_DAYS and share * absent >= EXPECTED_ROWS else None


def _times(rows: int, usual: float) -> str:
    if not rows:
        return "no rows"
    return (
        f"{rows / usual:.1f} times as many rows"
        if rows > usual > 0
        else f"{rows / max(usual, 1):.0%} of the usual rows"
    )


def _list(words: Sequence[str]) -> str:
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")


_COLUMN_RULES: tuple[Callable[[Table, Column, Sequence[Group]], Found], ...] = (
    _type,
    _same,
    _text,
    _nearly_a_key,
    _numbers,
    _times_of,
    _null_shift,
    _comings_and_goings,
)
