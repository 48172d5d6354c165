"""The planted truth: what happened, and what can be known of it from what the collector received.

Computed from the plan's arrays, one planned day at a time: a session lies within one, so attribution and sessions
look at nothing else, and only user-days are carried along. Shares no code with the log writer.
The cohorts are those of the accounts, which the business systems know without loss.
"""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from simulator.business import sign_up_moments, user_ids, users_of
from simulator.business_truth import business_truth
from simulator.market_truth import market_truth
from simulator.plan import DayPlan, Event, plan_day
from simulator.product import DAY, HOUR, MINUTE, Ints, Product

MAX_DAYS_LATE = 3
TRUSTED_CLOCK = 5 * MINUTE
ACTIVITY = [Event.APP_READY, Event.PLAYBACK_START]
DAY_NUMBERS = 29
WEEK_NUMBERS = 9

Truth = dict[str, pd.DataFrame]


def happened(product: Product, through: date) -> Truth:
    """Everything in the plan, at its true time, for the days from launch through `through`.

    Returns:
        Data frames by name: active_users_daily, sessions_daily, retention_daily, retention_weekly, delivery_daily.

    Raises:
        ValueError: `through` is before the launch.
    """
    return _measure(product, through, _see_all)


def knowable(product: Product, through: date) -> Truth:
    """The same frames as `happened`, from what the collector had received by the end of `through`.

    Raises:
        ValueError: `through` is before the launch.
    """
    return _measure(product, through, _see_accepted)


def write_truth(product: Product, through: date, truth_dir: Path) -> None:
    """Write both truths to `truth_dir`/{happened,knowable}/<name>.parquet, those of the other sources with each.

    Raises:
        ValueError: `through` is before the launch.
    """
    others = business_truth(product, through) | market_truth()
    for side in (happened, knowable):
        folder = truth_dir / side.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in (side(product, through) | others).items():
            frame.to_parquet(folder / f"{name}.parquet", index=False)


def _measure(product: Product, through: date, see: Callable[[DayPlan, int], pd.DataFrame]) -> Truth:
    days = product.day_of(through) + 1
    user_days, sessions, accounts, deliveries = [], [], [], []
    for day in range(days):
        plan = plan_day(product, day)
        seen = see(plan, days * DAY)
        user_days.append(_user_days(seen))
        sessions.append(_sessions(plan, seen))
        accounts.append(_accounts(product, day))
        deliveries.append(_deliveries(plan, days * DAY))
    activity = pd.concat(user_days).groupby(["day", "user"], as_index=False).any()
    all_sessions = pd.concat(sessions)
    cohorts = pd.concat(accounts)
    cohorts = cohorts[cohorts["cohort"] < days]  # a sign-up session can cross midnight
    returns = activity[activity["is_active"]].merge(cohorts, on="user")
    returns["age"] = returns["day"] - returns["cohort"]
    return {
        "active_users_daily": _active_users_daily(product, days, activity, all_sessions),
        "sessions_daily": _daily(product, days, "session_date", all_sessions.drop(columns=["device", "is_anonymous"])),
        "retention_daily": _retention_daily(product, days, cohorts, returns),
        "retention_weekly": _retention_weekly(product, days, cohorts, returns),
        "delivery_daily": _daily(product, days, "event_date", pd.concat(deliveries)),
    }


def _see_all(plan: DayPlan, end: int) -> pd.DataFrame:  # noqa: ARG001
    return _attribute(plan, np.arange(len(plan.events)), plan.events["occurred"])


def _see_accepted(plan: DayPlan, end: int) -> pd.DataFrame:
    judged = _judge(plan, end)
    first = judged[judged["is_accepted"]].drop_duplicates("event")  # deliveries are in the order of arrival
    return _attribute(plan, first["event"].to_numpy(), first["at"].to_numpy())


def _judge(plan: DayPlan, end: int) -> pd.DataFrame:
    """Each legible delivery received before `end`: its event, event time, and whether it is accepted or too late."""
    arrived = plan.deliveries[plan.deliveries["received"] < end]
    arrived = arrived[~plan.events["is_malformed"][arrived["event"]]]
    event, received = arrived["event"], arrived["received"]
    skew = plan.sessions["skew"][plan.events["session"][event]]
    lag = received - (arrived["sent"] + skew)
    at = plan.events["occurred"][event] + skew + np.where(np.abs(lag) > TRUSTED_CLOCK, lag, 0)
    is_too_late = received // DAY - at // DAY > MAX_DAYS_LATE
    is_accepted = ~is_too_late & (at <= received + HOUR) & (at >= 0)
    return pd.DataFrame({"event": event, "at": at, "is_accepted": is_accepted, "is_too_late": is_too_late})


def _attribute(plan: DayPlan, rows: Ints, at: Ints) -> pd.DataFrame:
    """The events in `rows` by session and event time, each with the next user named in its session (or none)."""
    order = np.lexsort((plan.event_ids[rows], at, plan.events["session"][rows]))
    rows, at = rows[order], at[order]
    events = plan.events[rows]
    session, names = events["session"], events["user"]
    number = np.arange(len(rows))
    following = np.minimum.accumulate(np.where(names > 0, number, len(rows))[::-1])[::-1]
    namer = np.minimum(following, len(rows) - 1)
    is_known = (following < len(rows)) & (session[namer] == session)
    user = plan.user_ids[session, np.maximum(names[namer], 1) - 1]
    return pd.DataFrame(
        {"session": session, "kind": events["kind"], "day": at // DAY, "user": user, "is_known": is_known}
    )


def _user_days(seen: pd.DataFrame) -> pd.DataFrame:
    """Grain: day x known user with an app_start or an activity."""
    opened = seen[seen["is_known"] & seen["kind"].isin([Event.APP_START, *ACTIVITY])]
    return (
        opened[["day", "user"]]
        .assign(is_active=opened["kind"] != Event.APP_START)
        .groupby(["day", "user"], as_index=False)
        .any()
    )


def _accounts(product: Product, day: int) -> pd.DataFrame:
    """Grain: account of the users who first come on `day`, with the day on which it was made."""
    moments = sign_up_moments(product, day)
    return pd.DataFrame({"user": user_ids(product, users_of(product, day)), "cohort": moments // DAY})


def _sessions(plan: DayPlan, seen: pd.DataFrame) -> pd.DataFrame:
    """Grain: session. The counts are 0 or 1."""
    first = seen.drop_duplicates("session")

    def has(condition: pd.Series) -> pd.Series:
        return first["session"].isin(seen.loc[condition, "session"])

    started = has(seen["kind"] == Event.APP_START)
    is_used = has(seen["kind"].isin(ACTIVITY))
    return pd.DataFrame(
        {
            "day": first["day"],
            "session_count": 1,
            "started_session_count": started.astype(int),
            "crash_free_session_count": (started & ~has(seen["kind"] == Event.APP_CRASH)).astype(int),
            "device": plan.device_ids[first["session"]],
            "is_anonymous": is_used & ~has(seen["is_known"]),
        }
    )


def _deliveries(plan: DayPlan, end: int) -> pd.DataFrame:
    """Grain: planned event, at its true day. The counts are 0 or 1."""
    judged = _judge(plan, end)
    too_late = np.setdiff1d(judged.loc[judged["is_too_late"], "event"], judged.loc[judged["is_accepted"], "event"])
    arrived = plan.deliveries["event"][plan.deliveries["received"] < end]
    number = np.arange(len(plan.events))
    return pd.DataFrame(
        {
            "day": plan.events["occurred"] // DAY,
            "happened_count": 1,
            "lost_count": plan.events["is_lost"].astype(int),
            "too_late_count": np.isin(number, too_late).astype(int),
            "malformed_count": (plan.events["is_malformed"] & np.isin(number, arrived)).astype(int),
        }
    )


def _daily(product: Product, days: int, date_name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Sum `rows` by their `day`, for every day from launch on."""
    daily = rows.groupby("day").sum().reindex(range(days), fill_value=0).reset_index(drop=True)
    daily.insert(0, date_name, _dates(product, np.arange(days)))
    return daily


def _active_users_daily(product: Product, days: int, activity: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    anonymous = sessions.loc[sessions["is_anonymous"], ["day", "device"]].drop_duplicates()
    counts = {
        "active_users": activity.loc[activity["is_active"], "day"],
        "opened_users": activity["day"],
        "anonymous_devices": anonymous["day"],
    }
    rows = [
        pd.DataFrame({"day": day, **{name: int(name == column) for name in counts}}) for column, day in counts.items()
    ]
    return _daily(product, days, "activity_date", pd.concat(rows))


def _retention_daily(product: Product, days: int, cohorts: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    cohort, number = _grid(np.arange(days), DAY_NUMBERS)
    return pd.DataFrame(
        {
            "cohort_date": _dates(product, cohort),
            "day_number": number,
            "cohort_users": _counted(cohorts.groupby("cohort").size(), cohort),
            "retained_users": _counted(
                returns.groupby(["cohort", "age"]).size(), pd.MultiIndex.from_arrays([cohort, number])
            ).mask(cohort + number >= days),
        }
    )


def _retention_weekly(product: Product, days: int, cohorts: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    to_monday = product.launch_date.weekday()
    weeks = (days - 1 + to_monday) // 7 + 1
    week, number = _grid(np.arange(weeks), WEEK_NUMBERS)
    monday = 7 * week - to_monday
    returns = returns.assign(week=(returns["cohort"] + to_monday) // 7, number=returns["age"] // 7)
    returning = returns[["week", "number", "user"]].drop_duplicates().groupby(["week", "number"]).size()
    return pd.DataFrame(
        {
            "cohort_week": _dates(product, monday),
            "week_number": number,
            "cohort_users": _counted(((cohorts["cohort"] + to_monday) // 7).value_counts(), week),
            "retained_users": _counted(returning, pd.MultiIndex.from_arrays([week, number])).mask(
                monday + 6 + 7 * number + 6 >= days
            ),
        }
    )


def _grid(rows: Ints, count: int) -> tuple[Ints, Ints]:
    return np.repeat(rows, count), np.tile(np.arange(count), len(rows))


def _counted(counts: pd.Series, index: Ints | pd.MultiIndex) -> pd.Series:
    return counts.reindex(index, fill_value=0).astype("Int64").reset_index(drop=True)


def _dates(product: Product, days: Ints) -> pd.Series:
    dates = [product.launch_date + timedelta(days=int(day)) for day in days]
    return pd.Series(dates, dtype=pd.ArrowDtype(pa.date32()))
