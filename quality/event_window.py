"""The relations that the contract of landed events speaks of, made from the files of a window."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb

from contracts import FieldType, load_event_contracts

TYPES: dict[FieldType, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}


def prepare_event_audit(
    connection: duckdb.DuckDBPyConnection, landings: Mapping[date, Path], baseline: tuple[date, Path] | None
) -> None:
    """Give an in-memory connection the relations that the contract of events speaks of.

    `events` (all columns and the landing day `dt`), `window_day` (the days that must be there), `platform_day` (share
    of events without user on a day and a platform, beside that of the day before it, or of the last accepted one) and
    `contract_column` (the columns that the event contracts promise).

    Raises:
        duckdb.Error: a data file cannot be read.
    """
    connection.execute("create table window_day (dt date, filename varchar)")
    connection.executemany("insert into window_day values (?, ?)", [[day, str(path)] for day, path in landings.items()])
    # By name, as dbt reads landings, so that a column may be new from some day on. A view takes no bound parameters.
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in landings.values())
    connection.execute(f"""
        create view events as
        select window_day.dt, landed.* exclude (filename)
        from read_parquet([{files}], union_by_name = true, filename = true) as landed
        inner join window_day using (filename)
    """)
    _compare_platforms(connection, baseline)
    contracts = load_event_contracts()
    columns = {field.name: field.type for field in contracts.envelope} | contracts.properties
    connection.execute("create table contract_column (column_name varchar, data_type varchar)")
    connection.executemany(
        "insert into contract_column values (?, ?)", [[name, TYPES[kind]] for name, kind in columns.items()]
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
            select dt, lag(dt, 1, $baseline_dt) over (order by dt) as baseline_dt from window_day
        )
        select
            share.*,
            days.baseline_dt,
            baseline.events as baseline_events,
            baseline.null_user_share as baseline_null_user_share
        from share
        inner join days using (dt)
        left join share as baseline on baseline.dt = days.baseline_dt and baseline.platform = share.platform
        """,
        {"baseline_dt": baseline[0] if baseline else None},
    )
