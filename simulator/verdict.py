"""Published numbers against the planted truth: every value that a release publishes, compared one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

# For each frame of the truth: its keys, and the same values as a release publishes them, under the same names.
PUBLISHED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "active_users_daily": (
        ("activity_date",),
        "select activity_date, active_users, opened_users, anonymous_devices from mart_active_users_daily",
    ),
    "sessions_daily": (
        ("session_date",),
        """
        select
            session_date, count(*) as session_count, count(is_crash_free) as started_session_count,
            count(*) filter (where is_crash_free) as crash_free_session_count
        from fct_session
        where session_date <= (select max(activity_date) from mart_active_users_daily)
        group by all
        """,
    ),
    "retention_daily": (
        ("cohort_date", "day_number"),
        """
        select cohort_date, period_number as day_number, cohort_users, retained_users
        from mart_retention_cohort where cohort_grain = 'day'
        """,
    ),
    "retention_weekly": (
        ("cohort_week", "week_number"),
        """
        select cohort_date as cohort_week, period_number as week_number, cohort_users, retained_users
        from mart_retention_cohort where cohort_grain = 'week'
        """,
    ),
    "accounts_daily": (
        ("date",),
        """
        select
            activity_date as date,
            count(*) filter (version_number = 1 and created_date = activity_date) as created_count,
            count(distinct user_id) filter (
                account_status = 'closed' and valid_from >= activity_date
            ) as closed_count,
            count(*) filter (
                account_status = 'open' and (valid_to is null or valid_to >= activity_date + 1)
            ) as open_count
        from mart_active_users_daily
        left join dim_user on valid_from < activity_date + 1
        group by all
        """,
    ),
    "subscriptions_daily": (
        ("date", "plan_id"),
        """
        select
            activity_date as date, plans.plan_id,
            count(change_id) filter (next_changed_at is null or next_changed_at >= activity_date + 1) as active_count
        from mart_active_users_daily
        cross join (select distinct plan_id from dim_plan) as plans
        left join fct_subscription_change as change
            on change.plan_id = plans.plan_id and status = 'active' and changed_at < activity_date + 1
        group by all
        """,
    ),
    "payments_daily": (
        ("date", "currency_code"),
        """
        select
            paid_date as date, currency_code,
            sum(case when kind = 'charge' then amount else 0 end) as charged_amount,
            sum(case when kind = 'refund' then amount else 0 end) as refunded_amount
        from fct_payment where is_settled group by all
        """,
    ),
    "revenue_daily": (
        ("date",),
        "select paid_date as date, sum(revenue_usd) as revenue_usd from fct_payment where is_settled group by all",
    ),
    "countries": (("country_code",), "from dim_country"),
    "country_indicators": (("country_code", "indicator_id", "year"), "from fct_country_indicator_year"),
}


@dataclass(frozen=True)
class Verdict:
    """How one frame of the truth compares with what was published."""

    name: str
    compared: int
    """Values, NULLs included: one that should be NULL and is not differs."""
    differences: pd.DataFrame
    """Keys, column, published and true value (as text) of each that differs. A row that has no like differs in all."""


def compare(database: Path, truth_dir: Path) -> list[Verdict]:
    """Compare a release with one side of the truth (`truth_dir`/<name>.parquet).

    Money has to be the same decimal, doubles the same but for a billionth, all else the same.

    Raises:
        duckdb.Error: the release lacks a table or a column.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        return [
            _compare(connection, name, list(keys), sql, truth_dir / f"{name}.parquet")
            for name, (keys, sql) in PUBLISHED.items()
        ]


def _compare(connection: duckdb.DuckDBPyConnection, name: str, keys: list[str], sql: str, truth: Path) -> Verdict:
    types = {column: kind for column, kind, *_ in connection.execute(f"describe from '{truth}'").fetchall()}
    values = [column for column in types if column not in keys]
    sides = ", ".join(f"published.{column} as published_{column}, truth.{column} as true_{column}" for column in values)
    connection.execute(f"""
        create or replace temp table both_sides as
        select
            {", ".join(keys)}, {sides},
            is_published and is_true and count(*) over (partition by {", ".join(keys)}) = 1 as is_pair
        from (select *, true as is_published from ({sql})) as published
        full join (select *, true as is_true from '{truth}') as truth using ({", ".join(keys)})
    """)
    differing = " union all ".join(
        f"""
        select
            {", ".join(keys)}, '{column}' as "column",
            published_{column}::varchar as published, true_{column}::varchar as truth
        from both_sides where is_pair is not true or not ({_are_same(column, types[column])})
        """
        for column in values
    )
    [(rows,)] = connection.execute("select count(*) from both_sides").fetchall()
    return Verdict(name, rows * len(values), connection.execute(f"{differing} order by all").df())


def _are_same(column: str, kind: str) -> str:
    published, truth = f"published_{column}", f"true_{column}"
    if kind.startswith("DECIMAL"):  # as text, so that a double that only looks like it is not the same
        return f"{published}::varchar is not distinct from {truth}::varchar"
    if kind == "DOUBLE":
        is_close = f"coalesce(abs({published} - {truth}) <= 1e-9 * abs({truth}), false)"
        return f"{published} is not distinct from {truth} or {is_close}"
    return f"{published} is not distinct from {truth}"
