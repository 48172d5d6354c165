"""The network between the clients and the collector: late, lost, repeated, damaged, by wrong clocks.

The rates hold in every story: this is how networks are.
"""

import numpy as np

from simulator.product import DAY, HOUR, MINUTE, SECOND, Product, Records

REACH = 7
"""Days after which nothing of a day arrives any more: 5 days offline, and 2 until the last copy."""

DELIVERY = np.dtype(
    [
        ("event", "i4"),  # row of its event in the day
        ("sent", "i8"),  # true moment, ms since launch
        ("received", "i8"),
    ]
)


def deliver(product: Product, day: int, sessions: Records, events: Records) -> Records:
    """Plan how the day's events arrive: an array of DELIVERY in the order of `received`.

    Marks events as lost or malformed and sets the clocks of `sessions`, in place.
    """
    rng = product.rng("delivery", day)
    count = len(events)
    sessions["skew"] = _draw_skews(len(sessions), rng)
    fate = rng.random(count)
    events["is_lost"] = fate < 0.002
    events["is_malformed"] = (fate >= 0.002) & (fate < 0.0032)
    repeated = fate > 1 - 0.013

    first = np.zeros(count, DELIVERY)
    first["event"] = np.arange(count)
    first["sent"] = np.maximum(events["occurred"] + _draw_waits(count, rng), _back_online(day, sessions, events, rng))
    again = first[repeated]
    pause = rng.uniform(MINUTE, 20 * MINUTE, len(again)).astype(np.int64)
    again["sent"] += pause + DAY * rng.choice(3, len(again), p=[0.85, 0.1, 0.05])
    deliveries = np.concatenate([first[~events["is_lost"]], again])
    deliveries["received"] = deliveries["sent"] + 30 + rng.gamma(2, 100, len(deliveries)).astype(np.int64)
    return deliveries[np.argsort(deliveries["received"], kind="stable")]


def _draw_skews(count: int, rng: np.random.Generator) -> np.ndarray:
    """By how much a session's clock is ahead, ms: most not at all, some by minutes, few by up to a day."""
    ahead = rng.choice([-1, 1], count)
    large = np.exp(rng.uniform(np.log(6 * MINUTE), np.log(26 * HOUR), count))
    small = rng.uniform(SECOND, 4.8 * MINUTE, count)
    draw = rng.random(count)
    return (ahead * np.where(draw < 0.008, large, np.where(draw < 0.03, small, 0))).astype(np.int64)


def _draw_waits(count: int, rng: np.random.Generator) -> np.ndarray:
    """Clients send in batches: a few seconds, at most ten minutes."""
    return np.minimum(rng.lognormal(np.log(3), 1.2, count) * SECOND, 10 * MINUTE).astype(np.int64)


def _back_online(day: int, sessions: Records, events: Records, rng: np.random.Generator) -> np.ndarray:
    """The earliest moment at which each event can be sent: some sessions lose their network part-way, for days."""
    count = len(sessions)
    days = rng.choice(6, count, p=[0.96, 0.026, 0.007, 0.004, 0.0015, 0.0015])
    back = (day + days) * DAY + rng.integers(23 * HOUR, size=count)
    lost_at = np.where(rng.random(count) < 0.5, 0, rng.uniform(0, HOUR, count)).astype(np.int64)
    session = events["session"]
    is_offline = (days[session] > 0) & (events["occurred"] - sessions["start"][session] >= lost_at[session])
    jitter = rng.integers(30 * SECOND, size=len(events))
    return np.where(is_offline, back[session] + jitter, 0)
