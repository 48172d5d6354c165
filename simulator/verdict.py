"""Published numbers against the planted truth: every value that a release publishes, compared one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

# For each frame of the truth: its keys, and the same numbers as a release publishes them.
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
}


@dataclass(frozen=True)
class Verdict:
    """How one frame of the truth compares with what was published."""

    name: str
    compared: int
    """Values, NULLs included: one that should be NULL and is not differs."""
    differences: pd.DataFrame
    """Keys, column, published and true value of each that differs; a row that only one side has differs too."""


def compare(database: Path, truth_dir: Path) -> list[Verdict]:
    """Compare a release with one side of the truth (`truth_dir`/<name>.parquet).

    Raises:
        duckdb.Error: the release lacks a table.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        published = {name: connection.execute(sql).df() for name, (_, sql) in PUBLISHED.items()}
    return [
        _compare(name, published[name], pd.read_parquet(truth_dir / f"{name}.parquet"), list(keys))
        for name, (keys, _) in PUBLISHED.items()
    ]


def _compare(name: str, published: pd.DataFrame, truth: pd.DataFrame, keys: list[str]) -> Verdict:
    long = [_values(frame, keys, side) for frame, side in ((published, "published"), (truth, "truth"))]
    both = long[0].merge(long[1], on=[*keys, "column"], how="outer", indicator=True)
    same = (both["_merge"] == "both") & (
        (both["published"] == both["truth"]) | (both["published"].isna() & both["truth"].isna())
    )
    return Verdict(name, len(both), both[~same.fillna(value=False)].drop(columns="_merge"))


def _values(frame: pd.DataFrame, keys: list[str], side: str) -> pd.DataFrame:
    """One row a value, keys as text, so that date types of two readers compare."""
    plain = frame.assign(**{key: frame[key].astype(str).str.slice(0, 10) for key in keys})
    values = [column for column in frame.columns if column not in keys]
    plain[values] = plain[values].astype("Float64")
    return plain.melt(id_vars=keys, value_vars=values, var_name="column", value_name=side)
