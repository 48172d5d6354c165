"""The truth about retention: who of the accounts made on a day was active so many days later.

Cohorts are those of the accounts, which the business systems know without loss.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from simulator.activity_truth import Activity
from simulator.frames import Numbers, Truth, dates, known_where, ratio
from simulator.product import Bools, Floats, Ints
from simulator.segments import split

DAY_NUMBERS = 29
WEEK_NUMBERS = 9
WEEK = 7
FIRST_DAYS = ("watched", "crashed", "neither")
DRIVERS = ("acquisition_platform", "region", "income_group", "first_day")
Z = NormalDist().inv_cdf(0.975)


def retention_truth(activity: Activity) -> Truth:
    """The frames about retention.

    Returns:
        retention_daily: as mart_retention_cohort of days, with day_number instead of period_number.
        retention_weekly: likewise of weeks, with cohort_week and week_number.
        retention_driver: as mart_retention_driver.
    """
    drivers = [_driver(activity, driver) for driver in DRIVERS]
    return {
        "retention_daily": _retention_daily(activity),
        "retention_weekly": _retention_weekly(activity),
        "retention_driver": pd.concat(drivers, ignore_index=True),
    }


def _retention_daily(activity: Activity) -> pd.DataFrame:
    days = activity.days
    made = activity.accounts.day_0[activity.accounts.day_0 < days]
    retained = np.zeros((days, DAY_NUMBERS), dtype=np.int64)
    for number in range(DAY_NUMBERS):
        _, cohort = _returned(activity, number)
        retained[:, number] = np.bincount(cohort, minlength=days)
    last_days = np.arange(days)[:, None] + np.arange(DAY_NUMBERS)
    return pd.DataFrame(
        {
            "cohort_date": dates(activity.product, np.arange(days).repeat(DAY_NUMBERS)),
            "day_number": np.tile(np.arange(DAY_NUMBERS), days),
            **_rates(np.bincount(made, minlength=days), retained, last_days < days),
        }
    )


def _retention_weekly(activity: Activity) -> pd.DataFrame:
    """Week k of an account are the days 7k to 7k+6 after its own day 0."""
    days, day_0 = activity.days, activity.accounts.day_0
    to_monday = activity.product.launch_date.weekday()
    weeks = (days - 1 + to_monday) // WEEK + 1
    cohort = (day_0 + to_monday) // WEEK
    is_made = day_0 < days
    so_far = np.zeros((len(day_0), days + 1), dtype=np.int64)
    so_far[:, 1:] = activity.is_active.cumsum(axis=1)
    retained = np.zeros((weeks, WEEK_NUMBERS), dtype=np.int64)
    for number in range(WEEK_NUMBERS):
        begin, end = (np.minimum(day_0 + WEEK * (number + later), days)[:, None] for later in (0, 1))
        came = np.take_along_axis(so_far, end, axis=1) > np.take_along_axis(so_far, begin, axis=1)
        retained[:, number] = np.bincount(cohort[is_made & came[:, 0]], minlength=weeks)
    mondays = WEEK * np.arange(weeks) - to_monday
    last_days = mondays[:, None] + WEEK - 1 + WEEK * np.arange(WEEK_NUMBERS) + WEEK - 1
    return pd.DataFrame(
        {
            "cohort_week": dates(activity.product, mondays.repeat(WEEK_NUMBERS)),
            "week_number": np.tile(np.arange(WEEK_NUMBERS), weeks),
            **_rates(np.bincount(cohort[is_made], minlength=weeks), retained, last_days < days),
        }
    )


def _returned(activity: Activity, number: int) -> tuple[Ints, Ints]:
    """The accounts that were active exactly so many days after they were made, and the days on which they were."""
    day_0 = activity.accounts.day_0
    users = np.flatnonzero(day_0 + number < activity.days)
    users = users[activity.is_active[users, day_0[users] + number]]
    return users, day_0[users]


def _rates(sizes: Ints, retained: Ints, is_known: Bools) -> dict[str, pd.Series | Floats | Ints]:
    """The values of each cohort and number, from arrays of cohorts and of cohorts x numbers."""
    users = np.broadcast_to(sizes[:, None], retained.shape)
    return {
        "cohort_users": users.ravel(),
        "retained_users": known_where(is_known.ravel(), retained.ravel()),
        "retention_rate": np.where(is_known, ratio(retained, users), np.nan).ravel(),
    }


def _driver(activity: Activity, driver: str) -> pd.DataFrame:
    values, codes = _drivers(activity, driver)
    day_0 = activity.accounts.day_0
    numbers = np.arange(1, DAY_NUMBERS)
    users, retained = np.zeros((2, len(values), len(numbers)), dtype=np.int64)
    for place, number in enumerate(numbers.tolist()):
        users[:, place] = np.bincount(codes[day_0 + number < activity.days], minlength=len(values))
        retained[:, place] = np.bincount(codes[_returned(activity, number)[0]], minlength=len(values))
    low, high = _wilson(retained, users)
    overall = np.broadcast_to(ratio(retained.sum(axis=0), users.sum(axis=0)), users.shape)
    rows = pd.DataFrame(
        {
            "driver": driver,
            "driver_value": np.repeat(list(values), len(numbers)),
            "day_number": np.tile(numbers, len(values)),
            "users": users.ravel(),
            "retained_users": retained.ravel(),
            "retention_rate": ratio(retained, users).ravel(),
            "retention_low": low.ravel(),
            "retention_high": high.ravel(),
            "overall_retention_rate": overall.ravel(),
            "is_beyond_noise": ((overall < low) | (overall > high)).ravel(),
        }
    )
    return rows[rows["users"] > 0]


def _drivers(activity: Activity, driver: str) -> tuple[Sequence[str], Numbers]:
    if driver != "first_day":
        return split(driver, activity.accounts.traits)
    day_0, rows = activity.accounts.day_0, activity.within
    what = np.full(len(day_0), FIRST_DAYS.index("neither"))
    first = rows[rows["day"] == day_0[rows["user"]]]
    what[first["user"][first["crash_count"] > 0]] = FIRST_DAYS.index("crashed")
    what[first["user"][first["playback_start_count"] > 0]] = FIRST_DAYS.index("watched")
    return FIRST_DAYS, what


def _wilson(successes: Ints, trials: Ints) -> tuple[Floats, Floats]:
    """The rates p whose distance from the measured one is `Z` standard deviations: (k/n - p)^2 = Z^2 p (1 - p) / n.

    Both roots of that, the smaller one from the product of the two: their difference would lose the digits of a small
    one. They are exact where nobody or everybody succeeded.
    """
    n, k = np.where(trials > 0, trials, np.nan), successes.astype(np.float64)
    square, linear, constant = n + Z**2, 2 * k + Z**2, k**2 / n
    high = (linear + np.sqrt(linear**2 - 4 * square * constant)) / (2 * square)
    return constant / (square * high), np.where(successes < trials, high, np.where(trials > 0, 1, np.nan))
