"""The truth about growth: how many come, within which time again, who is new or gone, and what moved the numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from simulator.activity_truth import OPENED, USED, Activity
from simulator.frames import Truth, dates, known_where, ratio
from simulator.product import Bools, Ints
from simulator.segments import by_segment, count, split

WINDOWS = (1, 7, 28, 365)
USER_DAY_SEGMENTS = ("total", "platform", "country", "region", "income_group", "app_version")
SIGN_UP_SEGMENTS = ("total", "acquisition_platform", "country", "region", "income_group")
DRIVER_SEGMENTS = ("total", "platform", "country", "app_version", "release")
COMPARED = (
    *("previous_attempted_users", "previous_successful_users", "previous_success_rate", "change_users"),
    *("volume_effect", "rate_effect", "rate_effect_rank"),
)
WEEK = 7

Rolling = Mapping[str, tuple[Sequence[str], Mapping[int, Ints]]]
"""By kind of segment, its values that ever had an active user, and by window their active users: values x days."""


def growth_truth(activity: Activity, rolling: Rolling) -> Truth:
    """The frames about growth.

    Returns:
        active_users_rolling: as mart_active_users_rolling.
        growth_accounting: as mart_growth_accounting.
        metric_driver: as mart_metric_driver.
    """
    return {
        "active_users_rolling": _active_users_rolling(activity, rolling),
        "growth_accounting": _growth_accounting(activity),
        "metric_driver": pd.concat([_metric_driver(activity, kind) for kind in DRIVER_SEGMENTS], ignore_index=True),
    }


def rolling_actives(activity: Activity) -> Rolling:
    """Who was active within each window up to each day, counted in the segment of the last active day."""
    rows, days = activity.active_rows, np.arange(activity.days)
    last = np.where(activity.is_active, days, -1)
    last = np.maximum.accumulate(last, axis=1)
    user, day = np.nonzero(last >= 0)
    age = day - last[user, day]
    # The row of each user's last active day: rows are in the order of user and day, as are the cells of the matrix.
    number = np.cumsum(activity.is_active).reshape(last.shape)[user, day] - 1
    found = {}
    for kind in USER_DAY_SEGMENTS:
        values, codes = split(kind, {name: rows[name] for name in ("platform", "country", "release")})
        there = np.union1d(codes, [0]) if kind == "total" else np.unique(codes)
        code = np.searchsorted(there, codes)[number]
        counts = {}
        for window in WINDOWS:
            within = age < window
            counts[window] = count(len(there), activity.days, code[within], day[within])
        found[kind] = [values[place] for place in there], counts
    return found


def _active_users_rolling(activity: Activity, rolling: Rolling) -> pd.DataFrame:
    rows = pd.concat(
        by_segment(kind, values, {"active_users": counts[window]}).assign(window_days=window)
        for kind, (values, counts) in rolling.items()
        for window in WINDOWS
    )
    rows["is_full_window"] = rows["number"] + 1 >= rows["window_days"]
    rows.insert(0, "activity_date", dates(activity.product, rows["number"].to_numpy()).to_numpy())
    return rows.drop(columns="number")


def _growth_accounting(activity: Activity) -> pd.DataFrame:
    launch_weekday = activity.product.launch_date.weekday()
    weeks = (np.arange(activity.days) + launch_weekday) // WEEK
    first_of_week = np.flatnonzero(np.diff(weeks, prepend=-1))
    of_weeks = np.logical_or.reduceat(activity.is_active, first_of_week, axis=1)
    periods = {
        "day": (activity.is_active, np.arange(activity.days), activity.days),
        "week": (of_weeks, WEEK * np.arange(weeks[-1] + 1) - launch_weekday, (activity.days + launch_weekday) // WEEK),
    }
    return pd.concat(
        [
            _accounted(activity, is_active, starts, over).assign(period_grain=grain)
            for grain, (is_active, starts, over) in periods.items()
        ],
        ignore_index=True,
    )


def _accounted(activity: Activity, is_active: Bools, starts: Ints, over: int) -> pd.DataFrame:
    """Of periods that start on those days since launch; so many of them are over."""
    before, was_before = np.zeros_like(is_active), np.zeros_like(is_active)
    before[:, 1:] = is_active[:, :-1]
    was_before[:, 1:] = np.maximum.accumulate(is_active, axis=1)[:, :-1]
    states: dict[str, Bools] = {
        "active_users": is_active,
        "previous_active_users": before,
        "new_users": is_active & ~was_before,
        "retained_users": is_active & before,
        "resurrected_users": is_active & was_before & ~before,
        "churned_users": before & ~is_active,
    }
    ever: Bools = np.asarray(is_active.any(axis=1))
    frames = []
    for kind in SIGN_UP_SEGMENTS:
        values, codes = split(kind, activity.accounts.traits)
        there = [place for place in range(len(values)) if kind == "total" or ever[codes == place].any()]
        columns = {
            name: np.array([state[codes == place].sum(axis=0) for place in there]) for name, state in states.items()
        }
        frames.append(by_segment(kind, [values[place] for place in there], columns))
    rows = pd.concat(frames, ignore_index=True)
    is_known = rows["number"].to_numpy() < over
    for name in states:
        rows[name] = known_where(is_known, rows[name].to_numpy())
    rows.insert(0, "period_start_date", dates(activity.product, starts[rows.pop("number").to_numpy()]))
    return rows


def _metric_driver(activity: Activity, kind: str) -> pd.DataFrame:
    """Of each day's users, how many opened the app and how many could use it, against the same day a week before."""
    rows, days = activity.within, activity.days
    values, codes = split(kind, {name: rows[name] for name in ("platform", "country", "release")})
    attempted, successful = (
        count(len(values), days, codes[is_so], rows["day"][is_so])
        for is_so in (rows["qualification"] >= OPENED, rows["qualification"] == USED)
    )
    attempted_before, successful_before = _a_week_before(attempted), _a_week_before(successful)
    # Who was not there a week before is held against everybody of that day, and where nobody was, against themselves.
    everybody = attempted_before.sum(axis=0)
    was_there, was_anybody = attempted_before > 0, everybody > 0
    base = np.select([was_there, was_anybody], [attempted_before, everybody], attempted)
    base_successful = np.select(
        [was_there, was_anybody], [successful_before, successful_before.sum(axis=0)], successful
    )
    # Whole numbers until the one division: equal effects are equal then, and their order is that of the names.
    rate_effect = ratio(successful * base - attempted * base_successful, base)
    table = by_segment(
        kind,
        values,
        {
            "attempted_users": attempted,
            "successful_users": successful,
            "success_rate": ratio(successful, attempted),
            "previous_attempted_users": attempted_before,
            "previous_successful_users": successful_before,
            "previous_success_rate": ratio(base_successful, base),
            "change_users": successful - successful_before,
            "volume_effect": ratio((attempted - attempted_before) * base_successful, base),
            "rate_effect": rate_effect,
            "rate_effect_rank": np.zeros_like(attempted),
        },
    )
    table = table[(table["attempted_users"] + table["previous_attempted_users"] > 0) | (kind == "total")]
    return _ranked(activity, table.reset_index(drop=True))


def _a_week_before(counts: Ints) -> Ints:
    before = np.zeros_like(counts)
    before[:, WEEK:] = counts[:, :-WEEK]
    return before


def _ranked(activity: Activity, rows: pd.DataFrame) -> pd.DataFrame:
    day = rows["number"].to_numpy()
    order = np.lexsort((rows["segment_value"].to_numpy(dtype=str), rows["rate_effect"].to_numpy(), day))
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[order] = np.arange(len(rows)) - np.searchsorted(day[order], day[order]) + 1
    rows["rate_effect_rank"] = ranks
    for name in COMPARED:
        rows[name] = known_where(day >= WEEK, rows[name].to_numpy())
    rows.insert(0, "activity_date", dates(activity.product, day))
    return rows.drop(columns="number")
