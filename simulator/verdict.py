"""Published numbers against the planted truth: every value that a release publishes, compared one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

SEGMENT = ("segment_type", "segment_value")
# For each frame of the truth: its keys, and the same values as a release publishes them, under the same names.
PUBLISHED: Mapping[str, tuple[tuple[str, ...], str]] = {
    # Who was there.
    "active_users_daily": (("activity_date",), "from mart_active_users_daily"),
    "active_users_rolling": (("activity_date", "window_days", *SEGMENT), "from mart_active_users_rolling"),
    "activity_hours": (("activity_date", "hour_of_day", "country_code"), "from fct_activity_hour"),
    "activity_hourly": (("activity_date", "hour_of_day", "country_code"), "from mart_activity_hourly"),
    "active_days_distribution": (
        ("activity_date", "window_days", "active_days"),
        "from mart_active_days_distribution",
    ),
    "user_days": (("user_id", "activity_date"), "from fct_user_activity_day"),
    "user_device_days": (("user_id", "device_id", "activity_date"), "from fct_user_device_day"),
    "user_devices": (("user_id", "device_id"), "from bridge_user_device"),
    "growth_accounting": (("period_grain", "period_start_date", *SEGMENT), "from mart_growth_accounting"),
    "metric_driver": (("activity_date", *SEGMENT), "from mart_metric_driver"),
    "engagement_daily": (("activity_date", *SEGMENT), "from mart_engagement_daily"),
    # What came, and what happened in sessions.
    "event_days": (("event_date",), "from fct_event_day"),
    "sessions": (("device_id", "session_id"), "from fct_session"),
    "playbacks": (("device_id", "session_id", "playback_id"), "from fct_playback"),
    "crashes": (("event_id",), "from fct_crash"),
    "devices": (("device_id",), "from dim_device"),
    "app_stability_daily": (("session_date", *SEGMENT), "from mart_app_stability_daily"),
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
        select cohort_date, period_number as day_number, cohort_users, retained_users, retention_rate
        from mart_retention_cohort where cohort_grain = 'day'
        """,
    ),
    "retention_weekly": (
        ("cohort_week", "week_number"),
        """
        select
            cohort_date as cohort_week, period_number as week_number, cohort_users, retained_users, retention_rate
        from mart_retention_cohort where cohort_grain = 'week'
        """,
    ),
    "retention_driver": (("driver", "driver_value", "day_number"), "from mart_retention_driver"),
    # What is tried out.
    "experiment_exposure_days": (
        ("experiment_id", "variant_id", "user_id", "exposure_date"),
        "from fct_experiment_exposure_day",
    ),
    "experiment_exposures": (("experiment_id", "user_id"), "from fct_experiment_exposure"),
    "experiment_users": (("experiment_id", "user_id"), "from mart_experiment_user"),
    "experiment_results": (("experiment_id", "metric", "variant_id"), "from mart_experiment_result"),
    # What the business systems hold.
    "account_versions": (("user_id", "version_number"), "from dim_user"),
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
    "subscription_changes": (("subscription_id", "change_number"), "from fct_subscription_change"),
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
    "payments": (("payment_id",), "from fct_payment"),
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
    "revenue_daily": (("revenue_date", *SEGMENT), "from mart_revenue_daily"),
    # What other rows are explained with.
    "dates": (("date_day",), "from dim_date"),
    "landed_dates": (("date_day",), "select date_day, true as has_landed from dim_landed_date"),
    "titles": (("title_id",), "from dim_title"),
    "plans": (("plan_id", "currency_code"), "from dim_plan"),
    "experiments": (("experiment_id",), "from dim_experiment"),
    "fx_rates": (("rate_date", "currency_code"), "from fct_fx_rate_day"),
    "countries": (("country_code",), "from dim_country"),
    "country_indicators": (("country_code", "indicator_id", "year"), "from fct_country_indicator_year"),
    # Where there is a market, and how much of it is won.
    "country_stats": (("country_code", "year"), "from mart_country_stats"),
    "region_stats": (("region_name", "year"), "from mart_region_stats"),
    "year_stats": (("year",), "from mart_year_stats"),
    "business_climate": (("country_code",), "from mart_business_climate"),
    "market_penetration": (("activity_date", *SEGMENT), "from mart_market_penetration"),
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
