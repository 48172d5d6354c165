"""The planted truth: what happened, and what can be known of it from what the collector received.

Computed from the plan's arrays, one planned day at a time; only what the frames need of it is carried along. Shares no
code with the log writer.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.account_truth import Accounts
from simulator.activity_truth import Activity, activity_truth, parts_of_days
from simulator.business import sign_up_moments
from simulator.business_truth import business_truth
from simulator.engagement_truth import engagement_truth
from simulator.experiment_truth import experiment_truth, exposures_of
from simulator.frames import Truth, dates
from simulator.growth_truth import growth_truth, rolling_actives
from simulator.hour_truth import hour_truth, parts_of_hours
from simulator.market_truth import market_truth
from simulator.penetration_truth import penetration_truth
from simulator.plan import DayPlan, plan_day
from simulator.product import DAY, Product, Records
from simulator.reference_truth import reference_truth
from simulator.retention_truth import retention_truth
from simulator.seen import See, arrivals, deliveries, see_accepted, see_all
from simulator.session_truth import crashes_of, playbacks_of, session_truth, sessions_of

SIDES: Mapping[str, See] = {"happened": see_all, "knowable": see_accepted}


def happened(product: Product, through: date) -> Truth:
    """Everything in the plan, at its true time, for the days from launch through `through`.

    Returns:
        Data frames by name: delivery_daily (event_date, happened_count, lost_count, too_late_count, malformed_count),
        event_days (as fct_event_day; what came is one thing for both truths), sessions_daily (session_date,
        session_count, started_session_count, crash_free_session_count), and those of session_truth, activity_truth,
        hour_truth, growth_truth, retention_truth, engagement_truth, penetration_truth and experiment_truth. Those with
        a row for each thing seen go on after `through`, as far as the sessions of these days do.

    Raises:
        ValueError: `through` is before the launch.
    """
    return _measure(product, through, ["happened"])["happened"]


def knowable(product: Product, through: date) -> Truth:
    """The same frames as `happened`, from what the collector had received by the end of `through`.

    Raises:
        ValueError: `through` is before the launch.
    """
    return _measure(product, through, ["knowable"])["knowable"]


def write_truth(product: Product, through: date, truth_dir: Path) -> None:
    """Write both truths to `truth_dir`/{happened,knowable}/<name>.parquet, those of the other sources with each.

    Raises:
        ValueError: `through` is before the launch.
    """
    sides = _measure(product, through, list(SIDES))
    others = business_truth(product, through) | reference_truth(product, through) | market_truth()
    for side, frames in sides.items():
        folder = truth_dir / side
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in (frames | others).items():
            frame.to_parquet(folder / f"{name}.parquet", index=False)


def _measure(product: Product, through: date, sides: list[str]) -> dict[str, Truth]:
    """Both sides look at the same plans, so that each day is planned once."""
    accounts = Accounts(product, product.day_of(through) + 1)
    looks = {side: _Look(SIDES[side], accounts) for side in sides}
    delivered, arrived = [], []
    for day in range(accounts.days):
        plan = plan_day(product, day)
        sign_up_moments(product, day)  # remembered: of a plan that has gone it would be planned once more
        for look in looks.values():
            look.at(plan)
        delivered.append(deliveries(plan, accounts.days * DAY))
        arrived.append(arrivals(plan, accounts.days * DAY))
    shared = {
        "delivery_daily": _daily(accounts, "event_date", pd.concat(delivered)),
        "event_days": _event_days(product, pd.concat(arrived)),
    }
    return {side: look.truth() | shared for side, look in looks.items()}


class _Look:
    """One side of the truth, as far as it has looked."""

    def __init__(self, see: See, accounts: Accounts) -> None:
        self.see, self.accounts = see, accounts
        self.sessions: list[pd.DataFrame] = []
        self.playbacks: list[pd.DataFrame] = []
        self.crashes: list[pd.DataFrame] = []
        self.exposures: list[pd.DataFrame] = []
        self.days: list[Records] = []
        self.hours: list[Records] = []

    def at(self, plan: DayPlan) -> None:
        seen = self.see(plan, self.accounts.days * DAY)
        self.sessions.append(sessions_of(plan, seen))
        self.playbacks.append(playbacks_of(plan, seen))
        self.crashes.append(crashes_of(plan, seen))
        self.exposures.append(exposures_of(plan, seen, self.accounts))
        self.days.append(parts_of_days(plan, seen, self.accounts))
        self.hours.append(parts_of_hours(plan, seen, self.accounts))

    def truth(self) -> Truth:
        sessions, playbacks, crashes = (
            pd.concat(rows, ignore_index=True) for rows in (self.sessions, self.playbacks, self.crashes)
        )
        activity = Activity(self.accounts, np.concatenate(self.days))
        anonymous = sessions.loc[sessions["is_used"] & (sessions["user_count"] == 0), ["day", "device"]]
        rolling = rolling_actives(activity)
        return {
            **session_truth(self.accounts.product, sessions, playbacks, crashes),
            "sessions_daily": _sessions_daily(self.accounts, sessions),
            **activity_truth(activity, anonymous),
            **hour_truth(self.accounts.product, self.accounts.days, np.concatenate(self.hours)),
            **growth_truth(activity, rolling),
            **retention_truth(activity),
            **engagement_truth(activity, rolling, sessions),
            **penetration_truth(self.accounts.product, rolling),
            **experiment_truth(activity, sessions, pd.concat(self.exposures, ignore_index=True)),
        }


def _event_days(product: Product, arrived: pd.DataFrame) -> pd.DataFrame:
    daily = arrived.groupby("day", as_index=False).sum()
    daily.insert(0, "event_date", dates(product, daily.pop("day").to_numpy()))
    return daily


def _sessions_daily(accounts: Accounts, sessions: pd.DataFrame) -> pd.DataFrame:
    started = sessions["has_app_start"]
    rows = pd.DataFrame(
        {
            "day": sessions["day"],
            "session_count": 1,
            "started_session_count": started.astype(int),
            "crash_free_session_count": (started & (sessions["crash_count"] == 0)).astype(int),
        }
    )
    return _daily(accounts, "session_date", rows)


def _daily(accounts: Accounts, date_name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Sum `rows` by their `day`, for every day from launch on."""
    daily = rows.groupby("day").sum().reindex(range(accounts.days), fill_value=0).reset_index(drop=True)
    daily.insert(0, date_name, dates(accounts.product, np.arange(accounts.days)))
    return daily
