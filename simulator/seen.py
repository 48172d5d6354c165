"""What one side of the truth sees of a planned day: its events, in order, each with the user that it is about."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from simulator.plan import DayPlan, Event
from simulator.product import DAY, HOUR, MINUTE, Ints, Records

MAX_DAYS_LATE = 3
TRUSTED_CLOCK = 5 * MINUTE
ACTIVITY = [Event.APP_READY, Event.PLAYBACK_START]

SEEN = np.dtype(
    [
        ("event", "i4"),  # row of the event in its day's plan
        ("session", "i4"),
        ("kind", "i1"),
        ("at", "i8"),  # ms since launch; not the true moment where a clock was wrong
        ("named", "i1"),  # as logged: 0 nobody, 1 the member, 2 the other one of the household
        ("who", "i1"),  # the next one named in the session from here on, or 0
    ]
)

See = Callable[[DayPlan, int], Records]
"""From the plan of a day and the end of what was received (ms since launch) to an array of SEEN."""


def see_all(plan: DayPlan, end: int) -> Records:  # noqa: ARG001
    """Every event, at its true moment."""
    return _attribute(plan, np.arange(len(plan.events)), plan.events["occurred"])


def see_accepted(plan: DayPlan, end: int) -> Records:
    """Each event of which a delivery received before `end` was accepted, at the moment that the first one tells."""
    judged = judge(plan, end)
    first = judged[judged["is_accepted"]].drop_duplicates("event")  # deliveries are in the order of arrival
    return _attribute(plan, first["event"].to_numpy(), first["at"].to_numpy())


def judge(plan: DayPlan, end: int) -> pd.DataFrame:
    """Each legible delivery received before `end`: its event, event time, arrival, and whether accepted or too late."""
    arrived = plan.deliveries[plan.deliveries["received"] < end]
    arrived = arrived[~plan.events["is_malformed"][arrived["event"]]]
    event, received = arrived["event"], arrived["received"]
    skew = plan.sessions["skew"][plan.events["session"][event]]
    lag = received - (arrived["sent"] + skew)
    at = plan.events["occurred"][event] + skew + np.where(np.abs(lag) > TRUSTED_CLOCK, lag, 0)
    is_too_late = received // DAY - at // DAY > MAX_DAYS_LATE
    is_accepted = ~is_too_late & (at <= received + HOUR) & (at >= 0)
    return pd.DataFrame(
        {"event": event, "at": at, "received": received, "is_accepted": is_accepted, "is_too_late": is_too_late}
    )


def _attribute(plan: DayPlan, rows: Ints, at: Ints) -> Records:
    """The events in `rows` by session and event time."""
    order = np.lexsort((plan.event_ids[rows], at, plan.events["session"][rows]))
    seen = np.zeros(len(rows), SEEN)
    seen["event"], seen["at"] = rows[order], at[order]
    events = plan.events[seen["event"]]
    seen["session"], seen["kind"], seen["named"] = events["session"], events["kind"], events["user"]
    number = np.arange(len(rows))
    following = np.minimum.accumulate(np.where(seen["named"] > 0, number, len(rows))[::-1])[::-1]
    namer = np.minimum(following, len(rows) - 1)
    is_known = (following < len(rows)) & (seen["session"][namer] == seen["session"])
    seen["who"] = np.where(is_known, seen["named"][namer], 0)
    return seen


def arrivals(plan: DayPlan, end: int) -> pd.DataFrame:
    """The planned events and their accepted copies, at most one a landing day, by the day that each copy tells."""
    judged = judge(plan, end)
    judged["received_day"] = judged["received"] // DAY
    copies = judged[judged["is_accepted"]].drop_duplicates(["event", "received_day"])
    is_event = ~copies.duplicated("event")  # deliveries are in the order of arrival
    counts = pd.DataFrame(
        {
            "day": copies["at"] // DAY,
            "copy_count": 1,
            "event_count": is_event.astype(int),
            "late_event_count": (is_event & (copies["received_day"] > copies["at"] // DAY)).astype(int),
        }
    )
    return counts.groupby("day", as_index=False).sum()


def deliveries(plan: DayPlan, end: int) -> pd.DataFrame:
    """How many of the planned events of each true day arrived in which way."""
    judged = judge(plan, end)
    too_late = np.setdiff1d(judged.loc[judged["is_too_late"], "event"], judged.loc[judged["is_accepted"], "event"])
    arrived = plan.deliveries["event"][plan.deliveries["received"] < end]
    number = np.arange(len(plan.events))
    fates = pd.DataFrame(
        {
            "day": plan.events["occurred"] // DAY,
            "happened_count": 1,
            "lost_count": plan.events["is_lost"].astype(int),
            "too_late_count": np.isin(number, too_late).astype(int),
            "malformed_count": (plan.events["is_malformed"] & np.isin(number, arrived)).astype(int),
        }
    )
    return fates.groupby("day", as_index=False).sum()
