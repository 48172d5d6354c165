"""The plan of one day: its sessions, what happens in them, and how each event reaches the collector."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache

import numpy as np

from simulator.delivery import REACH, deliver
from simulator.product import (
    DAY,
    EXPERIMENTS,
    HOUR,
    PLATFORMS,
    RELEASE_EVERY,
    SECOND,
    UNLOGGED_EXPERIMENT,
    UNLOGGED_PLATFORM,
    Bools,
    Ids,
    Ints,
    Product,
    Records,
    is_dark,
    local_starts,
    members_on,
    only_looks,
    startup_crash_chance,
)

TITLES = 400
HEARTBEAT_SECONDS = 300
NEVER = np.iinfo(np.int64).max
REST = 3 * HOUR
"""Between two starts of one member on one day; longer than any session."""

SESSION = np.dtype(
    [
        ("cohort", "i4"),
        ("index", "i4"),  # with the cohort: the member whose device it is
        ("country", "i1"),
        ("in_household", "?"),
        ("variant", "i1", len(EXPERIMENTS)),
        ("slot", "i1"),  # which of the member's devices
        ("platform", "i1"),
        ("model", "i1"),
        ("system", "i1"),
        ("release", "i2"),  # minor version of the app
        ("start", "i8"),  # ms since launch
        ("is_sign_up", "?"),
        ("is_anonymous", "?"),  # a visitor's, or before the user's sign-up
        ("luck", "f4"),  # from 0 on; with too little of it the app crashes at its start
        ("skew", "i4"),  # ms by which the client's clock is ahead
    ]
)
EVENT = np.dtype(
    [
        ("session", "i4"),  # row of its session in the day
        ("order", "i4"),  # sorts the events of a session; has gaps
        ("kind", "i1"),  # an Event
        ("occurred", "i8"),  # true moment, ms since launch
        ("user", "i1"),  # as logged: 0 nobody, 1 the member, 2 the other one of the household
        ("play", "i1"),  # which playback of the session
        ("title", "i2"),
        ("list_position", "i2"),  # -1 where the title was not opened from a list
        ("position", "f4"),  # seconds into the title
        ("seconds", "f4"),  # watched since the last heartbeat; of a playback_start: waited for the first frame
        ("choice", "i1"),  # a property of few values; logs.py has the values
        ("is_lost", "?"),  # never delivered
        ("is_malformed", "?"),  # damaged on its way, so that nobody can read it
    ]
)


class Event(IntEnum):
    """The events by number; in lower case they are the names in the log."""

    APP_START = 0
    APP_READY = 1
    APP_CRASH = 2
    SIGN_UP = 3
    TITLE_VIEWED = 4
    PLAYBACK_START = 5
    PLAYBACK_HEARTBEAT = 6
    PLAYBACK_STOP = 7
    EXPERIMENT_EXPOSURE = 8


# By event: median seconds since the event before (beside what was watched), and from how many choices to draw.
GAPS = np.array([0, 2, 3, 25, 20, 8, 0.1, 1, 0.5])
CHOICES = np.array([2, 4, 4, 3, 1, 6, 1, 4, 1])
# The first of the four choices (of an error code) that each phase of a crash has.
STARTUP_CRASH, BROWSE_CRASH, PLAYBACK_CRASH = 0, 4, 8


@dataclass(frozen=True)
class DayPlan:
    """Everything that begins on one day: structured arrays of SESSION, EVENT (by session and time) and DELIVERY."""

    product: Product
    day: int
    sessions: Records
    events: Records
    deliveries: Records

    @cached_property
    def session_ids(self) -> Ids:
        """One per session."""
        return self.product.ids("session", self._key(np.arange(len(self.sessions))))

    @cached_property
    def device_ids(self) -> Ids:
        """One per session. The first device of a household is that of its first member."""
        index = self.sessions["index"].astype(np.int64)
        index -= self.sessions["in_household"] & (self.sessions["slot"] == 0) & (index % 2 == 1)
        cohort = self.sessions["cohort"].astype(np.int64)
        return self.product.ids("device", (cohort << 34) + (index << 2) + self.sessions["slot"])

    @cached_property
    def user_ids(self) -> Ids:
        """Two per session, whether logged in or not: the member, and the other one of the household."""
        cohort, index = (self.sessions[name].astype(np.int64)[:, None] for name in ("cohort", "index"))
        return self.product.ids("user", (cohort << 32) + (index ^ np.array([0, 1])))

    @cached_property
    def event_ids(self) -> Ids:
        """One per event: the first half of its id, unique by itself."""
        return self.product.ids("event", self._key(np.arange(len(self.events))))

    @cached_property
    def playback_ids(self) -> Ids:
        """One per event: the playback that it belongs to, if it is about one."""
        session_ids = self.session_ids[self.events["session"]]
        return self.product.ids("playback", session_ids + self.events["play"].astype(np.uint64))

    def _key(self, number: Ints) -> Ints:
        return (self.day << 32) + number


@lru_cache(maxsize=REACH + 1)
def plan_day(product: Product, day: int) -> DayPlan:
    """Plan one day. The last plans are kept, as many as deliver on one collector day."""
    rng = product.rng("plan", day)
    sessions = _draw_sessions(product, day, rng)
    events = _write_script(product, day, sessions, rng)
    _set_times(sessions, events, rng)
    _log_in(sessions, events, rng)
    events["list_position"] = np.where(rng.random(len(events)) < 0.8, rng.geometric(0.1, len(events)) - 1, -1)
    events["choice"] += (rng.random(len(events)) ** 2 * CHOICES[events["kind"]]).astype(np.int8)  # the first ones most
    events = events[~is_dark(product, sessions["country"][events["session"]], events["occurred"])]
    deliveries = deliver(product, day, sessions, events)
    return DayPlan(product, day, sessions, events, deliveries)


def _draw_sessions(product: Product, day: int, rng: np.random.Generator) -> Records:
    members = members_on(product, day)
    members = np.repeat(members, 1 + rng.poisson(np.where(members["is_visitor"], 0.1, 1.3)))
    is_repeat = np.append(False, _same_member(members))[: len(members)]
    is_first = (members["cohort"] == day) & ~is_repeat
    start = np.where(is_first, members["first_start"], local_starts(members["country"], rng))
    row = np.arange(len(members))
    slot = rng.integers(members["device_count"]) * (~is_first & (rng.random(len(members)) < 0.5))

    sessions = np.zeros(len(members), SESSION)
    for name in ("cohort", "index", "country", "in_household", "variant"):
        sessions[name] = members[name]
    for name in ("platform", "model", "system"):
        sessions[name] = members[name][row, slot]
    sessions["slot"] = slot
    sessions["start"] = day * DAY + start
    # A first installation is the newest version; then each device updates after its own lag.
    updated = np.floor((day - members["update_lag"]) / RELEASE_EVERY)
    sessions["release"] = np.maximum(members["cohort"] // RELEASE_EVERY, updated)
    sessions["is_sign_up"] = is_first & ~members["is_visitor"]
    sessions["luck"] = np.where(sessions["is_sign_up"], members["luck"], rng.random(len(members)))
    before_sign_up = (members["cohort"] == day) & (start < members["first_start"])
    sessions["is_anonymous"] = members["is_visitor"] | before_sign_up
    keep = _rested(sessions, is_first) & ~is_dark(product, sessions["country"], sessions["start"])
    return sessions[keep]


def _rested(sessions: Records, is_first: Bools) -> Bools:
    """Which sessions to keep so that no two of a member overlap; the first (the sign-up) always stays."""
    order = np.lexsort((sessions["start"], sessions["index"], sessions["cohort"]))
    by_time, first = sessions[order], is_first[order]
    close = _same_member(by_time) & (np.diff(by_time["start"]) < REST)
    crowded = (np.append(False, close) | np.append(close & first[1:], False))[: len(sessions)]
    keep = np.empty(len(sessions), dtype=np.bool_)
    keep[order] = first | ~crowded
    return keep


def _same_member(rows: Records) -> Bools:
    """Whether each row but the first is of the same member as the one before."""
    same: Bools = (np.diff(rows["cohort"]) == 0) & (np.diff(rows["index"]) == 0)
    return same


def _write_script(product: Product, day: int, sessions: Records, rng: np.random.Generator) -> Records:
    """What happens in each session, in order, still without times."""
    count = len(sessions)
    everyone = np.arange(count)
    is_anonymous, is_sign_up = sessions["is_anonymous"], sessions["is_sign_up"]
    fails = sessions["luck"] < startup_crash_chance(product, day, sessions["platform"], sessions["release"])
    plays = np.where(is_anonymous, rng.random(count) < 0.05, is_sign_up + (rng.random(count) < 0.85).astype(np.int64))
    looks = is_sign_up & ~fails & only_looks(sessions["luck"])
    plays[fails | looks] = 0
    breaks = ~fails & (plays == 0) & (rng.random(count) < 0.015)
    early = is_sign_up & (fails | looks | (rng.random(count) < 0.75))  # on the welcome screen
    late = is_sign_up & ~early
    sees_home = ~(fails | is_anonymous)
    sees = sees_home[:, None] & (is_sign_up[:, None] | (rng.random((count, len(EXPERIMENTS))) < 0.3))
    if product.story == "full":
        is_unlogged = sessions["platform"] == list(PLATFORMS).index(UNLOGGED_PLATFORM)
        sees[:, UNLOGGED_EXPERIMENT] &= ~(is_unlogged & (sessions["variant"][:, UNLOGGED_EXPERIMENT] == 1))
    exposed, experiment = np.nonzero(sees)

    # A session has a block of viewed titles before each playback, or just one.
    blocks = everyone.repeat(np.where(fails, 0, np.maximum(plays, 1)))
    begin = 1_000 * (1 + _count_up(np.bincount(blocks, minlength=count)))
    views = rng.poisson(np.select([is_anonymous, looks], [0.2, 8], 1.8)[blocks])
    viewed = _events(blocks.repeat(views), Event.TITLE_VIEWED, begin.repeat(views) + _count_up(views))
    viewed["title"] = _draw_titles(len(viewed), rng)

    script = [
        _events(everyone, Event.APP_START, 0),
        _events(everyone[early], Event.SIGN_UP, 1),
        _events(everyone[fails], Event.APP_CRASH, 2, STARTUP_CRASH),
        _events(everyone[~fails], Event.APP_READY, 2),
        _events(
            exposed,
            Event.EXPERIMENT_EXPOSURE,
            3 + experiment,
            2 * experiment + sessions["variant"][exposed, experiment],
        ),
        viewed,
        _events(everyone[late], Event.SIGN_UP, 1_090),
        *_write_playbacks(everyone.repeat(plays), _count_up(plays), is_anonymous.repeat(plays), rng),
        _events(everyone[breaks], Event.APP_CRASH, 9_000, BROWSE_CRASH),
    ]
    events = np.concatenate(script)
    return events[np.lexsort((events["order"], events["session"]))]


def _write_playbacks(session: Ints, number: Ints, is_trailer: Bools, rng: np.random.Generator) -> list[Records]:
    """Start, heartbeats and stop (or crash) of each playback; `number` counts them within their session."""
    count = len(session)
    resumed = np.where(rng.random(count) < 0.3, rng.uniform(0, 3_000, count), 0).round(1)
    length = np.where(is_trailer, 90, np.clip(rng.lognormal(np.log(2_400), 0.5, count), 20, 4_500)).round(1)
    crashes = np.append(session[1:] != session[:-1], True)[:count] & (rng.random(count) < 0.015)

    start = _events(session, Event.PLAYBACK_START, 1_000 * (number + 1) + 100)
    start["play"] = number
    start["title"] = _draw_titles(count, rng)

    beats = np.ceil(length / HEARTBEAT_SECONDS).astype(np.int64)
    of, beat = np.arange(count).repeat(beats), _count_up(beats)
    heartbeat = start[of]
    heartbeat["kind"] = Event.PLAYBACK_HEARTBEAT
    heartbeat["order"] += 1 + beat
    heartbeat["seconds"] = np.minimum(HEARTBEAT_SECONDS, length[of] - beat * HEARTBEAT_SECONDS)
    heartbeat["position"] = resumed[of] + beat * HEARTBEAT_SECONDS + heartbeat["seconds"]

    stop = start.copy()
    stop["kind"] = np.where(crashes, Event.APP_CRASH, Event.PLAYBACK_STOP)
    stop["choice"] = np.where(crashes, PLAYBACK_CRASH, 0)
    stop["order"] += 800
    stop["position"] = resumed + length

    start["seconds"] = rng.lognormal(0.3, 0.6, count)
    return [start, heartbeat, stop]


def _events(session: Ints, kind: Event, order: Ints | int, choice: Ints | int = 0) -> Records:
    events = np.zeros(len(session), EVENT)
    events["session"], events["kind"], events["order"], events["choice"] = session, kind, order, choice
    return events


def _count_up(counts: Ints) -> Ints:
    """0 to n-1 for each n of `counts`, one after the other."""
    return np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)


def _draw_titles(count: int, rng: np.random.Generator) -> Ints:
    return (TITLES * rng.random(count) ** 2.5).astype(np.int64)  # a few are watched by most


def _set_times(sessions: Records, events: Records, rng: np.random.Generator) -> None:
    watched = np.where(events["kind"] == Event.PLAYBACK_HEARTBEAT, events["seconds"], 0)
    gaps = GAPS[events["kind"]] * rng.lognormal(0, 0.6, len(events)) + watched + 0.05
    elapsed = (gaps * SECOND).astype(np.int64).cumsum()
    first = np.searchsorted(events["session"], np.arange(len(sessions)))
    events["occurred"] = sessions["start"][events["session"]] + elapsed - elapsed[first][events["session"]]


def _log_in(sessions: Records, events: Records, rng: np.random.Generator) -> None:
    """Set whom each event names. Most sessions name one user throughout; some log in late, log out, or change hands."""
    count = len(sessions)
    first = np.searchsorted(events["session"], np.arange(count))
    length = np.bincount(events["session"], minlength=count)
    place = np.arange(len(events)) - first[events["session"]]

    logs_in = np.where(rng.random(count) < 0.03, 2, 0)
    signs_up = events["kind"] == Event.SIGN_UP
    logs_in[events["session"][signs_up]] = place[signs_up]
    logs_in[sessions["is_anonymous"]] = NEVER

    settled = ~sessions["is_sign_up"] & ~sessions["is_anonymous"] & (length >= 5)
    at_home = sessions["in_household"] & (sessions["slot"] == 0) & (sessions["start"] // DAY > sessions["cohort"])
    hands_over = settled & at_home & (rng.random(count) < 0.15)
    middle = 2 + (rng.random(count) * (length - 4)).astype(np.int64)
    near_end = length - rng.integers(1, 4, count)
    logs_out = np.where(settled & (rng.random(count) < 0.02), near_end, NEVER)
    logs_out[hands_over] = middle[hands_over]
    other_logs_in = np.where(hands_over, middle + 1, NEVER)

    of = events["session"]
    member = (place >= logs_in[of]) & (place < logs_out[of])
    events["user"] = np.where(place >= other_logs_in[of], 2, member)
