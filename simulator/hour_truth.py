"""The truth about hours: what came in each, from where, and how far that is from what was to be expected."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from simulator.account_truth import Accounts
from simulator.frames import Truth, dates, known_where, names
from simulator.plan import DayPlan
from simulator.product import COUNTRIES, HOUR, Floats, Ints, Product, Records
from simulator.runs import Runs, added_up
from simulator.seen import ACTIVITY
from simulator.segments import count

COMPARED_WEEKS = 4

PART_OF_HOUR = np.dtype(
    [
        ("hour", "i4"),  # since launch
        ("country", "i1"),
        ("device", "u8"),
        ("user", "i4"),  # or -1
        ("event_count", "i8"),
        ("activity_count", "i8"),  # events that make a user active
    ]
)


def parts_of_hours(plan: DayPlan, seen: Records, accounts: Accounts) -> Records:
    """What the sessions of a planned day show of hours: an array of PART_OF_HOUR."""
    hour = seen["at"] // HOUR
    runs = Runs.of(seen["session"], seen["who"], hour)
    session, who = seen["session"][runs.first], seen["who"][runs.first]
    rows = np.zeros(len(session), PART_OF_HOUR)
    rows["hour"], rows["country"] = hour[runs.first], plan.sessions["country"][session]
    rows["device"] = plan.device_ids[session]
    rows["user"] = np.where(who > 0, accounts.numbers(plan)[session, who - 1], -1)
    rows["event_count"] = runs.length
    rows["activity_count"] = runs.total(np.isin(seen["kind"], ACTIVITY))
    return rows


def hour_truth(product: Product, days: int, parts: Records) -> Truth:
    """The frames about hours.

    Args:
        product: whose it is.
        days: since launch.
        parts: an array of PART_OF_HOUR, also of what followed in the night after the last day.

    Returns:
        activity_hours: as fct_activity_hour.
        activity_hourly: as mart_activity_hourly.
    """
    hours = _hours(parts, days)
    return {
        "activity_hours": _activity_hours(product, hours),
        "activity_hourly": _activity_hourly(product, hours, days),
    }


def _hours(parts: Records, days: int) -> dict[str, Ints]:
    """Counts by hour since launch and country, one day longer than the days: hours x countries."""
    device_hours = added_up(parts, ("device", "country", "hour"), ("hour", "country", "device"))
    active = parts[(parts["user"] >= 0) & (parts["activity_count"] > 0)]
    user_hours = added_up(active, ("user", "country", "hour"), ("hour", "country", "user"))
    hours, countries = 24 * (days + 1), len(COUNTRIES)
    return {
        "event_count": count(hours, countries, parts["hour"], parts["country"], parts["event_count"]),
        "active_devices": count(hours, countries, device_hours["hour"], device_hours["country"]),
        "active_users": count(hours, countries, user_hours["hour"], user_hours["country"]),
    }


def _activity_hours(product: Product, hours: dict[str, Ints]) -> pd.DataFrame:
    hour, country = np.nonzero(hours["event_count"])
    return pd.DataFrame(
        {
            **_hour_keys(product, hour, country),
            **{name: counts[hour, country] for name, counts in hours.items()},
        }
    )


def _hour_keys(product: Product, hour: Ints, country: Ints) -> dict[str, pd.Series | Ints]:
    return {
        "activity_date": dates(product, hour // 24),
        "hour_of_day": hour % 24,
        "country_code": names(list(COUNTRIES), country),
    }


def _activity_hourly(product: Product, hours: dict[str, Ints], days: int) -> pd.DataFrame:
    there = np.flatnonzero(hours["event_count"].any(axis=0))
    counts = {name: array[: 24 * days, there] for name, array in hours.items()}
    devices = counts["active_devices"].reshape(days, 24 * len(there))
    weeks_before = np.minimum(np.arange(days) // 7, COMPARED_WEEKS)
    expected = np.full(devices.shape, np.nan)
    for day in np.flatnonzero(weeks_before == COMPARED_WEEKS):
        expected[day] = devices[day - 7 * COMPARED_WEEKS : day : 7].mean(axis=0)
    score = _score(devices, expected)
    hour, place = np.indices((24 * days, len(there))).reshape(2, -1)
    return pd.DataFrame(
        {
            **_hour_keys(product, hour, there[place]),
            **{name: array.ravel() for name, array in counts.items()},
            "compared_days": weeks_before[hour // 24],
            "expected_active_devices": expected.ravel(),
            "deviation_score": score.ravel(),
            "shortfall_rank": _ranks(score, np.array(list(COUNTRIES))[there]),
        }
    )


def _score(devices: Ints, expected: Floats) -> Floats:
    """By how many standard deviations there are more than expected; of a Poisson count, and of a mean of four."""
    spread = np.sqrt(expected * (1 + 1 / COMPARED_WEEKS))
    score: Floats = np.divide(devices - expected, spread, out=np.full(devices.shape, np.nan), where=spread > 0)
    return score


def _ranks(score: Floats, countries: npt.NDArray[np.str_]) -> pd.Series:
    """Of the scores of each day, the lowest first; at the same score by hour and code of the country."""
    hours = np.arange(24).repeat(len(countries))
    codes = np.tile(np.argsort(np.argsort(countries)), 24)
    order = np.argsort(np.lexsort(np.broadcast_arrays(codes, hours, score), axis=-1), axis=-1)
    return known_where(~np.isnan(score).ravel(), order.ravel() + 1)
