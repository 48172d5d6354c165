"""The relations that the contract of landed events speaks of alone."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

from contracts import load_event_contracts
from quality.landed import show_landings
from quality.promised_events import compare_with_promises
from storage.engine import files
from storage.lake import Lake, Outcome

TRAILING_DAYS = 7
"""With how many landed days before it a day is compared: each weekday once. A contract that needs all of them asks for
`compared_days = 7`."""


def prepare_event_audit(
    connection: duckdb.DuckDBPyConnection, lake: Lake, staged: Sequence[Outcome], baseline: Mapping[date, Path]
) -> None:
    """Give an in-memory connection the relations that the contract of events speaks of.

    Beside those of `show_landings` these are `broken_promise` (each field of an event that breaks the event's contract)
    and, for each day of the window beside its trailing days, `member_day` (a platform, a country, an app version or
    everything), `member_hour` (a platform or a country and an hour, counted from midnight: those of the day before, if
    it landed, are below 0) and `event_day` (an event and a platform, with what its sessions of the day should bring).

    Args:
        connection: an empty database.
        lake: where the landings are staged.
        staged: those that are judged.
        baseline: the data files of the last accepted days before them.

    Raises:
        duckdb.Error: a data file cannot be read.
    """
    show_landings(connection, lake, staged)
    compare_with_promises(connection, load_event_contracts())
    _show_trailing(connection, baseline)
    _show_visits(connection)
    _compare_days(connection)
    _compare_hours(connection)
    _compare_events(connection)


def _show_trailing(connection: duckdb.DuckDBPyConnection, baseline: Mapping[date, Path]) -> None:
    """`seen_event`: events of the days to judge and of those before them; `trailing_day`: which are compared."""
    connection.execute("create table trailing_file (dt date, filename varchar)")
    for day, path in baseline.items():
        connection.execute("insert into trailing_file values (?, ?)", [day, str(path)])
    columns = "dt, event_name, event_at, user_id, device_id, session_id, platform, country_code, app_version"
    trailing = f"""
        union all
        select {columns}
        from read_parquet({files(baseline.values())}, union_by_name = true, filename = true, hive_partitioning = false)
        inner join trailing_file using (filename)
    """
    connection.execute(f"create view seen_event as select {columns} from events {trailing if baseline else ''}")
    # Of the days before each, the last ones that landed: a day that is missing has no say.
    connection.execute(
        """
        create table trailing_day as
        with landed as (
            select dt, row_number() over (order by dt) as number
            from (select dt from landing union select dt from trailing_file)
        )
        select landed.dt, earlier.dt as trailing_dt, count(*) over (partition by landed.dt) as compared_days
        from landed
        inner join landed as earlier on landed.number - earlier.number between 1 and $days
        semi join landing on landed.dt = landing.dt
        """,
        {"days": TRAILING_DAYS},
    )


def _show_visits(connection: duckdb.DuckDBPyConnection) -> None:
    """`visit`: what of one session landed on a day. Sessions come independently of each other, events do not.

    Its hour is that of its first event of this very day, NULL if all that came is late.
    """
    connection.execute("""
        create table visit as
        select
            dt,
            min(extract(hour from event_at)) filter (where cast(event_at as date) = dt) as hour,
            platform,
            country_code,
            app_version,
            count(*) as events,
            count(*) - count(user_id) as events_without_user
        from seen_event
        group by dt, device_id, session_id, platform, country_code, app_version
    """)


def _compare_days(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        create table member_day as
        with seen as (
            select
                dt,
                dimension,
                member,
                count(*) as sessions,
                sum(events) as events,
                sum(events_without_user) as events_without_user
            from visit
            cross join lateral (
                values ('all', 'all'), ('platform', platform), ('country', country_code), ('version', app_version)
            ) as members(dimension, member)
            group by dt, dimension, member
        ),
        usual as (
            select
                trailing_day.dt,
                dimension,
                member,
                sum(sessions) / any_value(compared_days) as usual_sessions,
                sum(events) / any_value(compared_days) as usual_events,
                sum(events_without_user) / any_value(compared_days) as usual_events_without_user
            from trailing_day
            inner join seen on trailing_day.trailing_dt = seen.dt
            group by trailing_day.dt, dimension, member
        ),
        compared as (
            select dt, coalesce(any_value(compared_days), 0) as compared_days
            from landing
            left join trailing_day using (dt)
            group by dt
        )
        select
            dt,
            dimension,
            member,
            compared_days,
            coalesce(sessions, 0) as sessions,
            coalesce(usual_sessions, 0) as usual_sessions,
            coalesce(events, 0) as events,
            coalesce(usual_events, 0) as usual_events,
            events_without_user / events as null_user_share,
            usual_events_without_user / usual_events as usual_null_user_share,
            coalesce(sessions / sum(sessions) over shares, 0) as share,
            coalesce(usual_sessions / sum(usual_sessions) over shares, 0) as usual_share
        from seen
        full join usual using (dt, dimension, member)
        inner join compared using (dt)
        window shares as (partition by dt, dimension)
    """)


def _compare_hours(connection: duckdb.DuckDBPyConnection) -> None:
    """Hours in which nothing came are rows too. Of days with fewer trailing days there are none."""
    connection.execute(
        """
        create table member_hour as
        with seen as (
            select dt, dimension, member, hour, count(*) as sessions
            from visit
            cross join lateral (values ('platform', platform), ('country', country_code)) as members(dimension, member)
            where hour is not null
            group by dt, dimension, member, hour
        ),
        usual as (
            select
                trailing_day.dt,
                dimension,
                member,
                hour,
                sum(sessions) / $days as usual_sessions,
                -- What the day before is compared with: it has no say in what is usual.
                coalesce(sum(sessions) filter (where trailing_dt < trailing_day.dt - 1), 0)
                    / ($days - 1) as usual_sessions_before
            from trailing_day
            inner join seen on trailing_day.trailing_dt = seen.dt
            where compared_days = $days
            group by trailing_day.dt, dimension, member, hour
        )
        select
            compared.dt,
            compared.dimension,
            compared.member,
            clock.hour + 24 * day_offset as hour,
            coalesce(sessions, 0) as sessions,
            coalesce(if(day_offset = 0, usual_sessions, usual_sessions_before), 0) as usual_sessions
        from (select distinct dt, dimension, member from usual) as compared
        inner join (
            select dt, 0 as day_offset, dt as seen_dt from landing
            union
            select dt, -1 as day_offset, trailing_dt as seen_dt from trailing_day where trailing_dt = dt - 1
        ) using (dt)
        cross join (select range as hour from range(24)) as clock
        left join usual using (dt, dimension, member, hour)
        left join seen
            on seen_dt = seen.dt
            and compared.dimension = seen.dimension
            and compared.member = seen.member
            and clock.hour = seen.hour
        """,
        {"days": TRAILING_DAYS},
    )


def _compare_events(connection: duckdb.DuckDBPyConnection) -> None:
    """An event that did not come at all is a row too, if its platform had sessions."""
    connection.execute("""
        create table event_day as
        with seen as (
            select dt, event_name, platform, count(*) as events from seen_event group by dt, event_name, platform
        ),
        usual as (
            select trailing_day.dt, event_name, platform, sum(events) / any_value(compared_days) as usual_events
            from trailing_day
            inner join seen on trailing_day.trailing_dt = seen.dt
            group by trailing_day.dt, event_name, platform
        )
        select
            usual.dt,
            usual.event_name,
            usual.platform,
            compared_days,
            coalesce(seen.events, 0) as events,
            usual.usual_events * sessions / usual_sessions as expected_events
        from usual
        inner join member_day
            on usual.dt = member_day.dt and dimension = 'platform' and usual.platform = member_day.member
        left join seen
            on usual.dt = seen.dt and usual.event_name = seen.event_name and usual.platform = seen.platform
    """)
