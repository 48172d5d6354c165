"""What is odd about a table, in words. Few and true: each rule has a threshold that clean data stays away from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import dropwhile
from math import sqrt
from statistics import median

from quality.profile.columns import spans_many_powers
from quality.profile.drift import DEVIATIONS, EXPECTED_ROWS, comings_and_goings, null_shift
from quality.profile.findings import WEIGHTS, Column, Found, Suspicion, Table, Value
from quality.profile.groups import Group
from quality.profile.words import number, of, period
from storage.days import describe_days

# A column of fewer rows holds one value, or none, by chance.
FEWEST_ROWS = 20
# A day stands out if its rows are further from those of the days around it than so many standard deviations of a count
# (Poisson), and than a factor. Five simulated products (60 days, 1,000 to 6,000 users, any story) have no such day; at
# 4 and 1.5 eight days of payments and subscriptions are named, each of them chance.
FACTOR, DAYS_AROUND = 2, 6
# Nearly a key: so many rows are told apart, and yet not all.
NEARLY = 0.95
PLACEHOLDERS = frozenset({"null", "none", "nan", "n/a", "undefined", "unknown", "-", "?", "test", "todo", "tbd"})
"""Texts that stand for no value. `NA` is not among them: it is Namibia."""


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
    for rule in (_key, _no_rows, _empty_days, _volume, _refused):
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
    """Days that stand out from the six nearest to them; not the first with rows, on which a source began some time."""
    days = list(dropwhile(lambda day: not day.rows, table.days))
    if not table.is_daily or len(days) <= DAYS_AROUND:
        return
    for place, day in list(enumerate(days))[1:]:
        first = min(max(0, place - DAYS_AROUND // 2), len(days) - DAYS_AROUND - 1)
        usual = median(other.rows for other in days[first : first + DAYS_AROUND + 1] if other != day)
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
    if declared is None:
        yield "odd", "is declared nowhere", f"{column.filled:,} rows have a value"
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
    elif spans_many_powers(spread):
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


def _times(rows: int, usual: float) -> str:
    if not rows:
        return "no rows"
    return (
        f"{rows / usual:.1f} times as many rows"
        if rows > usual > 0
        else f"{rows / max(usual, 1):.0%} of the usual rows"
    )


_COLUMN_RULES: tuple[Callable[[Table, Column, Sequence[Group]], Found], ...] = (
    _type,
    _same,
    _text,
    _nearly_a_key,
    _numbers,
    _times_of,
    null_shift,
    comings_and_goings,
)
