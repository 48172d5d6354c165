"""The truth about who was there: on which day, with what, on which device.

What a planned day shows is only a part of it, as its sessions can end after midnight: parts are made of each, and
put together.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from simulator.account_truth import Accounts
from simulator.frames import Truth, dates, ids, names, versions
from simulator.plan import DayPlan, Event
from simulator.product import COUNTRIES, DAY, PLATFORMS, Bools, Product, Records
from simulator.runs import Runs, added_up
from simulator.seen import ACTIVITY
from simulator.session_truth import tenths

USED, OPENED, OTHER = 2, 1, 0
PROVISIONAL_DAYS = 3

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
        return added_up(self.parts, latest, ("user", "day"))

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


def activity_truth(activity: Activity, anonymous: pd.DataFrame) -> Truth:
    """The frames about who was there.

    Args:
        activity: the user-days.
        anonymous: day and device of the sessions in which somebody unknown used the app.

    Returns:
        user_days: as fct_user_activity_day.
        user_device_days: as fct_user_device_day.
        user_devices: as bridge_user_device.
        active_users_daily: as mart_active_users_daily.
    """
    together = added_up(activity.parts, ("day", "device", "user"), ("user", "device", "day"))
    return {
        "user_days": _user_days(activity),
        "user_device_days": _user_device_days(activity.accounts, together),
        "user_devices": _user_devices(activity.accounts, together),
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
