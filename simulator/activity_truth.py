"""The truth about who was there: on which day, with what, in which hour, on which device.

What a planned day shows is only a part of it, as its sessions can end after midnight: parts are made of each, and
put together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from simulator.business import sign_up_moments, user_ids, users_of
from simulator.frames import Numbers, Truth, dates, ids, known_where, names, versions
from simulator.plan import DayPlan, Event
from simulator.product import COUNTRIES, DAY, HOUR, PLATFORMS, Bools, Floats, Ids, Ints, Product, Records
from simulator.runs import Runs
from simulator.seen import ACTIVITY
from simulator.segments import count
from simulator.session_truth import tenths

USED, OPENED, OTHER = 2, 1, 0
PROVISIONAL_DAYS = 3
COMPARED_WEEKS = 4

PART_OF_DAY = np.dtype(
    [
        ("user", "i4"),  # number among the accounts
        ("day", "i4"),
        ("device", "u8"),
        ("qualification", "i1"),  # the best one of its events: USED, OPENED or OTHER
        ("at", "i8"),  # of the last event with it
        ("event_id", "u8"),
        ("platform", "i1"),  # of that event, as the two that follow
        ("country", "i1"),
        ("release", "i2"),
        ("event_count", "i8"),
        ("crash_count", "i8"),
        ("playback_start_count", "i8"),
        ("sign_up_count", "i8"),
        ("watched", "i8"),  # tenths of a second
    ]
)
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


@dataclass(frozen=True)
class Accounts:
    """Those of all users who came in some days, numbered. Their traits are those at sign-up."""

    product: Product
    days: int

    @cached_property
    def users(self) -> Records:
        """Grain: account. An array of MEMBER."""
        return np.concatenate([users_of(self.product, day) for day in range(self.days)])

    @cached_property
    def ids(self) -> Ids:
        """Of each account."""
        return user_ids(self.product, self.users)

    @cached_property
    def day_0(self) -> Ints:
        """On which each was made: a sign-up session can cross midnight, even that of the last day."""
        made: Ints = np.concatenate([sign_up_moments(self.product, day) for day in range(self.days)]) // DAY
        return made

    @cached_property
    def first(self) -> Ints:
        """By the day on which they came, the number of the first one."""
        return np.searchsorted(self.users["cohort"], np.arange(self.days))

    def numbers(self, plan: DayPlan) -> Ints:
        """Of both users that each session can be about: the member, and the other one of the household."""
        index = plan.sessions["index"][:, None] ^ np.array([0, 1])
        numbers: Ints = self.first[plan.sessions["cohort"]][:, None] + index
        return numbers

    @property
    def traits(self) -> dict[str, Numbers]:
        """What tells them apart in segments."""
        return {"platform": self.users["platform"][:, 0], "country": self.users["country"]}


@dataclass(frozen=True)
class Activity:
    """The user-days of one side of the truth."""

    accounts: Accounts
    parts: Records
    """An array of PART_OF_DAY; also of days after the last, on which sessions ended or clocks were ahead."""

    @property
    def product(self) -> Product:
        """Whose it is."""
        return self.accounts.product

    @property
    def days(self) -> int:
        """How many there are since launch."""
        return self.accounts.days

    @cached_property
    def rows(self) -> Records:
        """Grain: user and day, in that order; what is not added up is that of its last event with the best use."""
        latest = ("event_id", "at", "qualification", "day", "user")
        return _added_up(self.parts, latest, ("user", "day"))

    @cached_property
    def within(self) -> Records:
        """The rows of these days."""
        rows: Records = self.rows[self.rows["day"] < self.days]
        return rows

    @cached_property
    def active_rows(self) -> Records:
        """The rows of active users, of these days."""
        rows: Records = self.within[self.within["qualification"] == USED]
        return rows

    @cached_property
    def is_active(self) -> Bools:
        """Whether each user was active on each day: users x days."""
        matrix = np.zeros((len(self.accounts.users), self.days), dtype=np.bool_)
        matrix[self.active_rows["user"], self.active_rows["day"]] = True
        return matrix


def parts_of_days(plan: DayPlan, seen: Records, accounts: Accounts) -> Records:
    """What the sessions of a planned day show of user-days: an array of PART_OF_DAY."""
    seen = seen[seen["who"] > 0]
    kind, day = seen["kind"], seen["at"] // DAY
    runs = Runs.of(seen["session"], seen["who"], day)
    qualification = np.select([np.isin(kind, ACTIVITY), kind == Event.APP_START], [USED, OPENED], OTHER)
    # The events of a session are in order, so that of the best ones the last has the greatest number.
    best = runs.most(qualification * len(seen) + np.arange(len(seen))) % max(len(seen), 1)
    session, event = seen["session"][best], seen["event"]
    rows = np.zeros(len(best), PART_OF_DAY)
    rows["user"] = accounts.numbers(plan)[session, seen["who"][best] - 1]
    rows["day"], rows["device"], rows["qualification"] = day[best], plan.device_ids[session], qualification[best]
    rows["at"], rows["event_id"] = seen["at"][best], plan.event_ids[event[best]]
    for name in ("platform", "country", "release"):
        rows[name] = plan.sessions[name][session]
    rows["event_count"] = runs.length
    rows["crash_count"] = runs.total(kind == Event.APP_CRASH)
    rows["playback_start_count"] = runs.total(kind == Event.PLAYBACK_START)
    rows["sign_up_count"] = runs.total(kind == Event.SIGN_UP)
    watched = np.where(kind == Event.PLAYBACK_HEARTBEAT, tenths(plan.events["seconds"][event]), 0)
    rows["watched"] = runs.total(watched)
    return rows


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


def _added_up(parts: Records, order: Sequence[str], keys: Sequence[str]) -> Records:
    """One row per key, the counts added up, all else as in its last part. `order` is that of np.lexsort."""
    rows = parts[np.lexsort([parts[name] for name in order])]
    runs = Runs.of(*(rows[name] for name in keys))
    together: Records = rows[runs.last]
    for name in (rows.dtype.names or ())[(rows.dtype.names or ()).index("event_count") :]:
        together[name] = runs.total(rows[name])
    return together


def activity_truth(activity: Activity, parts_of_hours: Records, anonymous: pd.DataFrame) -> Truth:
    """The frames about who was there.

    Args:
        activity: the user-days.
        parts_of_hours: an array of PART_OF_HOUR.
        anonymous: day and device of the sessions in which somebody unknown used the app.

    Returns:
        user_days: as fct_user_activity_day.
        user_device_days: as fct_user_device_day.
        user_devices: as bridge_user_device.
        activity_hours: as fct_activity_hour.
        activity_hourly: as mart_activity_hourly.
        active_users_daily: as mart_active_users_daily.
    """
    hours = _hours(parts_of_hours, activity.days)
    together = _added_up(activity.parts, ("day", "device", "user"), ("user", "device", "day"))
    return {
        "user_days": _user_days(activity),
        "user_device_days": _user_device_days(activity.accounts, together),
        "user_devices": _user_devices(activity.accounts, together),
        "activity_hours": _activity_hours(activity.product, hours),
        "activity_hourly": _activity_hourly(activity.product, hours, activity.days),
        "active_users_daily": _active_users_daily(activity, anonymous),
    }


def _user_days(activity: Activity) -> pd.DataFrame:
    rows, product = activity.rows, activity.product
    qualification = rows["qualification"]
    return pd.DataFrame(
        {
            "user_id": ids("u_", activity.accounts.ids[rows["user"]]),
            "activity_date": dates(product, rows["day"]),
            "platform": names(list(PLATFORMS), rows["platform"]),
            "country_code": names(list(COUNTRIES), rows["country"]),
            "app_version": names(versions(range(int(rows["release"].max(initial=0)) + 1)), rows["release"]),
            "has_opened": qualification >= OPENED,
            "has_used": qualification == USED,
            "is_active": qualification == USED,
            "has_signed_up": rows["sign_up_count"] > 0,
            "crash_count": rows["crash_count"],
            "playback_start_count": rows["playback_start_count"],
            "watched_seconds": rows["watched"] / 10,
            "event_count": rows["event_count"],
        }
    )


def _user_device_days(accounts: Accounts, rows: Records) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": ids("u_", accounts.ids[rows["user"]]),
            "device_id": ids("d_", rows["device"]),
            "activity_date": dates(accounts.product, rows["day"]),
            "event_count": rows["event_count"],
        }
    )


def _user_devices(accounts: Accounts, days: Records) -> pd.DataFrame:
    """The rows of `days` are sorted by user, device and day."""
    runs = Runs.of(days["user"], days["device"])
    user, device = days["user"][runs.first], days["device"][runs.first]
    _, devices_of_user = np.unique(user, return_counts=True)
    _, place, users_of_device = np.unique(device, return_inverse=True, return_counts=True)
    return pd.DataFrame(
        {
            "user_id": ids("u_", accounts.ids[user]),
            "device_id": ids("d_", device),
            "first_activity_date": dates(accounts.product, days["day"][runs.first]),
            "last_activity_date": dates(accounts.product, days["day"][runs.last]),
            "active_day_count": runs.length,
            "device_weight": np.repeat(1 / devices_of_user, devices_of_user),
            "user_weight": 1 / users_of_device[place],
        }
    )


def _hours(parts: Records, days: int) -> dict[str, Ints]:
    """Counts by hour since launch and country, one day longer than the days: hours x countries."""
    device_hours = _added_up(parts, ("device", "country", "hour"), ("hour", "country", "device"))
    active = parts[(parts["user"] >= 0) & (parts["activity_count"] > 0)]
    user_hours = _added_up(active, ("user", "country", "hour"), ("hour", "country", "user"))
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


def _active_users_daily(activity: Activity, anonymous: pd.DataFrame) -> pd.DataFrame:
    days = activity.days
    active = activity.is_active.sum(axis=0)
    opened = np.bincount(activity.within["day"][activity.within["qualification"] >= OPENED], minlength=days)
    devices = anonymous[anonymous["day"] < days].drop_duplicates()
    return pd.DataFrame(
        {
            "activity_date": dates(activity.product, np.arange(days)),
            "active_users": active,
            "used_users": active,
            "opened_users": opened,
            "anonymous_devices": np.bincount(devices["day"], minlength=days),
            "is_provisional": np.arange(days) >= days - PROVISIONAL_DAYS,
            "is_gap": False,
        }
    )
