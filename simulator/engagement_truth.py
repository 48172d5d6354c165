"""The truth about engagement: how often people come, how much they watch, and whether the app lets them."""

import numpy as np
import pandas as pd

from simulator.activity_truth import Activity
from simulator.frames import Numbers, Truth, dates, ratio
from simulator.growth_truth import Rolling
from simulator.product import Floats, Ints, Product
from simulator.runs import Runs
from simulator.segments import by_segment, count, split

MONTH = 28
DISTRIBUTED = (7, 28)
STABILITY_SEGMENTS = ("total", "platform", "app_version", "release")
TENTHS_PER_HOUR = 36_000


def engagement_truth(activity: Activity, rolling: Rolling, sessions: pd.DataFrame) -> Truth:
    """The frames about engagement.

    Args:
        activity: the user-days.
        rolling: who was active within which time, by segment.
        sessions: in the plan's numbers.

    Returns:
        engagement_daily: as mart_engagement_daily.
        active_days_distribution: as mart_active_days_distribution.
        app_stability_daily: as mart_app_stability_daily.
    """
    started = sessions[sessions["has_app_start"] & (sessions["day"] < activity.days)]
    stability = [_stability(activity.product, activity.days, started, kind) for kind in STABILITY_SEGMENTS]
    return {
        "engagement_daily": pd.concat([_engagement(activity, rolling, kind) for kind in rolling], ignore_index=True),
        "active_days_distribution": _active_days_distribution(activity),
        "app_stability_daily": pd.concat(stability, ignore_index=True),
    }


def _engagement(activity: Activity, rolling: Rolling, kind: str) -> pd.DataFrame:
    rows = activity.within
    all_values, codes = split(kind, {name: rows[name] for name in ("platform", "country", "release")})
    there = np.union1d(codes, [0]) if kind == "total" else np.unique(codes)
    watching, playbacks, watched = (
        count(len(all_values), activity.days, codes, rows["day"], weights)[there]
        for weights in (rows["watched"] > 0, rows["playback_start_count"], rows["watched"])
    )
    values = [all_values[place] for place in there]
    known, counts = rolling[kind]
    active = {window: np.zeros_like(watched) for window in (1, MONTH)}
    for window, users in active.items():
        users[[values.index(value) for value in known]] = counts[window]
    table = by_segment(
        kind,
        values,
        {
            "active_users": active[1],
            "active_users_28d": active[MONTH],
            "stickiness": ratio(active[1], active[MONTH]),
            "watching_users": watching,
            "playback_count": playbacks,
            "watch_hours": watched / TENTHS_PER_HOUR,
            "watch_hours_per_active_user": ratio(watched, active[1] * TENTHS_PER_HOUR),
        },
    )
    table["is_full_window"] = table["number"] + 1 >= MONTH
    table.insert(0, "activity_date", dates(activity.product, table.pop("number").to_numpy()))
    return table


def _active_days_distribution(activity: Activity) -> pd.DataFrame:
    days = np.arange(activity.days)
    so_far = activity.is_active.cumsum(axis=1, dtype=np.int64)
    frames = []
    for window in DISTRIBUTED:
        within = so_far.copy()
        within[:, window:] -= so_far[:, :-window]
        users = count(window + 1, activity.days, within.ravel(), np.tile(days, len(within)))[1:]
        number, day = np.indices(users.shape).reshape(2, -1)
        frames.append(
            pd.DataFrame(
                {
                    "activity_date": dates(activity.product, day),
                    "window_days": window,
                    "active_days": number + 1,
                    "user_count": users.ravel(),
                    "is_full_window": day + 1 >= window,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _stability(product: Product, days: int, started: pd.DataFrame, kind: str) -> pd.DataFrame:
    values, codes = split(kind, {name: started[name].to_numpy() for name in ("platform", "release")})
    day, waited = started["day"].to_numpy(), started["time_to_ready"].to_numpy()
    counts = {
        "started_sessions": np.ones(len(started), dtype=np.int64),
        "crash_free_sessions": started["crash_count"].to_numpy() == 0,
        "startup_crash_sessions": started["has_startup_crash"].to_numpy(),
        "ready_sessions": waited >= 0,
    }
    columns = {name: count(len(values), days, codes, day, weights) for name, weights in counts.items()}
    is_ready = waited >= 0
    half, most = _percentiles(len(values), days, codes[is_ready], day[is_ready], waited[is_ready])
    all_started = columns["started_sessions"]
    table = by_segment(
        kind,
        values,
        {
            **columns,
            "crash_free_rate": ratio(columns["crash_free_sessions"], all_started),
            "startup_crash_rate": ratio(columns["startup_crash_sessions"], all_started),
            "time_to_ready_p50_seconds": half / 1_000,
            "time_to_ready_p95_seconds": most / 1_000,
        },
    )
    table = table[(table["started_sessions"] > 0) | (kind == "total")].reset_index(drop=True)
    table.insert(0, "session_date", dates(product, table.pop("number").to_numpy()))
    return table


def _percentiles(values: int, days: int, codes: Numbers, day: Ints, waited: Ints) -> Floats:
    """The median and the 95th percentile of each segment and day: 2 x values x days, NaN of nothing."""
    found = np.full((2, values, days), np.nan)
    order = np.lexsort((day, codes))
    runs = Runs.of(codes[order], day[order])
    for first, last in zip(runs.first, runs.last, strict=True):
        rows = order[first : last + 1]
        found[:, codes[rows[0]], day[rows[0]]] = np.percentile(waited[rows], [50, 95])
    return found
