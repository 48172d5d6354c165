"""The relations that the contract of landed events speaks of alone."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb

from contracts import SQL_TYPES, load_event_contracts
from quality.landed import show_landings
from storage.lake import Lake, Outcome


def prepare_event_audit(
    connection: duckdb.DuckDBPyConnection, lake: Lake, staged: Sequence[Outcome], baseline: tuple[date, Path] | None
) -> None:
    """Give an in-memory connection the relations that the contract of events speaks of.

    Beside those of `show_landings` these are `platform_day` (events and the share of them without user on a day and a
    platform, beside those of the day before it, or of the last accepted one) and `contract_column` (the columns that
    the event contracts promise).

    Raises:
        duckdb.Error: a data file cannot be read.
    """
    show_landings(connection, lake, staged)
    _compare_platforms(connection, baseline)
    contracts = load_event_contracts()
    columns = {field.name: field.type for field in contracts.envelope} | contracts.properties
    connection.execute("create table contract_column (column_name varchar, data_type varchar)")
    connection.executemany(
        "insert into contract_column values (?, ?)", [[name, SQL_TYPES[kind]] for name, kind in columns.items()]
    )


def _compare_platforms(connection: duckdb.DuckDBPyConnection, baseline: tuple[date, Path] | None) -> None:
    connection.execute("""
        create table share as
        select dt, platform, count(*) as events, 1 - count(user_id) / count(*) as null_user_share
        from events group by dt, platform
    """)
    if baseline:
        day, path = baseline
        connection.execute(
            """
            insert into share
            select $day, platform, count(*), 1 - count(user_id) / count(*) from read_parquet($path) group by platform
            """,
            {"day": day, "path": str(path)},
        )
    connection.execute(
        """
        create table platform_day as
        with days as (
            select dt, lag(dt, 1, $baseline_dt) over (order by dt) as baseline_dt from landing
        ),
        expected as (
            select days.*, share.platform from days inner join share using (dt)
            union
            select days.*, share.platform from days inner join share on days.baseline_dt = share.dt
        )
        select
            expected.*,
            coalesce(share.events, 0) as events,
            share.null_user_share,
            baseline.events as baseline_events,
            baseline.null_user_share as baseline_null_user_share
        from expected
        left join share using (dt, platform)
        left join share as baseline on expected.baseline_dt = baseline.dt and expected.platform = baseline.platform
        """,
        {"baseline_dt": baseline[0] if baseline else None},
    )
