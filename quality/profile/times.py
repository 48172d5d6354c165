"""When the rows of `RELATION` happened, and how long they took to arrive."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

import duckdb

from contracts import SKEW_SECONDS
from quality.profile.declared import Declared
from quality.profile.findings import Lateness
from quality.profile.relation import RELATION, Landing, refused_of
from storage import engine
from storage.days import days_between

MINUTE, HOUR, DAY = 60, 3_600, 86_400
# Upper ends of the bins, in seconds: about three to a factor of ten, on round figures.
BOUNDS = (
    *(1, 2, 5, 10, 20, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE),
    *(HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY),
)


def rows_by_hour(connection: duckdb.DuckDBPyConnection, moment: str) -> tuple[tuple[int, ...], ...]:
    """Rows by weekday, Monday first, and hour of the day. Empty when the column has no hours."""
    counted = connection.execute(f"""
        select isodow({engine.name(moment)}) - 1, hour({engine.name(moment)}::timestamp), count(*)
        from {RELATION} where {engine.name(moment)} is not null group by all
    """).fetchall()
    hours = {(weekday, hour): rows for weekday, hour, rows in counted}
    if {hour for _, hour in hours} <= {0}:
        return ()
    return tuple(tuple(hours.get((weekday, hour), 0) for hour in range(24)) for weekday in range(7))


def empty_between(
    connection: duckdb.DuckDBPyConnection, moment: str, within: tuple[date, date] | None
) -> tuple[tuple[date, ...], int]:
    """The days without a row, and how many hours of the other days have none, since the first row.

    Up to the last of the days `within`, of which all moments are taken, or up to the last moment.
    """
    query = f"select distinct date_trunc('hour', {engine.name(moment)}::timestamp) from {RELATION}"
    found = (hour for (hour,) in connection.execute(query).fetchall() if hour)
    hours = sorted(hour for hour in found if not within or within[0] <= hour.date() <= within[1])
    if not hours:
        return (), 0
    days = Counter(hour.date() for hour in hours)
    last = within[1] if within else hours[-1].date()
    empty = tuple(day for day in days_between(hours[0].date(), last) if day not in days)
    at_the_ends = hours[0].hour + 23 - hours[-1].hour
    return empty, 24 * len(days) - len(hours) - at_the_ends


def lateness(connection: duckdb.DuckDBPyConnection, declared: Declared, landings: Sequence[Landing]) -> Lateness:
    """How late rows were received, accepted ones and those that were refused for it."""
    happened, received = engine.name(declared.event_time), engine.name(declared.received_time)
    sent = engine.name(declared.sent_time or declared.received_time)
    bins = " ".join(f"when seconds <= {bound} then {bound}" for bound in BOUNDS)
    counted = connection.execute(f"""
        select case {bins} end, days, sign(skew), count(*)
        from (
            select
                epoch({received}) - epoch({happened}) as seconds,
                {received}::date - {happened}::date as days,
                epoch({sent}) - epoch({received}) as ahead,
                if(abs(ahead) > {SKEW_SECONDS}, ahead, 0) as skew
            from {RELATION} where {received} is not null and {happened} is not null
        )
        group by all
    """).fetchall()
    within: Counter[int | None] = Counter()
    days: Counter[int] = Counter()
    skew: Counter[int] = Counter()
    for bound, late, sign, rows in counted:
        within[bound] += rows
        days[late] += rows
        skew[int(sign)] += rows
    return Lateness(
        within=tuple((bound, within[bound]) for bound in (*BOUNDS, None)),
        days=tuple(sorted(days.items())),
        refused_days=_refused_days(connection, landings),
        skewed=skew[1] + skew[-1],
        skew_ahead=skew[1],
    )


def _refused_days(connection: duckdb.DuckDBPyConnection, landings: Sequence[Landing]) -> tuple[tuple[int, int], ...]:
    refused = refused_of(landings)
    if not refused:
        return ()
    query = f"""
        select dt - event_date as days, count(*)
        from ({refused})
        where reason = 'too_late' and event_date is not null
        group by all order by all
    """
    return tuple(connection.execute(query).fetchall())
