"""Replay: what ingestion refused is tried again, by mended contracts or a wider rule.

Logs are read again from quarantine, because the collector may have thrown them away. Other sources can be asked again:
loading their days is their replay.
"""

import dataclasses
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from ingestion.landing import Reason
from ingestion.replay import Replay, stage_replay
from liftoff import records
from liftoff.intake import audit_events, land, read_days
from liftoff.plan import OtherRules, Window
from liftoff.progress import log
from liftoff.sources import EVENTS, LandedTable, landed_tables
from storage.days import describe_days, now
from storage.errors import WrongUsage
from storage.files import new_id
from storage.lake import Lake, Outcome
from storage.settings import Settings, load_settings

Rows = list[dict[str, Any]]

LEAVE_OUT = (
    "mend the contract or the rule that lets in what is wrong, or leave out its days or its reason, then replay again. "
    "The landings of these days stay as they were, and so does what they refused: liftoff quarantine list"
)


def replay_events(window: Window | None = None, reason: str | None = None) -> None:
    """Try refused log lines again, and land the days of those that are accepted now.

    Doing it twice changes nothing. After LIFTOFF_LATE_ARRIVAL_DAYS was raised, every landed day comes under the wider
    rule.

    Args:
        window: the landing days; None for all.
        reason: only what was refused for it.

    Raises:
        OtherRules: the rules changed in a way that only loading the days again can follow.
        WrongUsage: they became wider, and the window or the reason leaves out what they may accept.
        Blocked: the audit refused some days; their landings stay as they were.
        LandingFailed: some days could not be read.
    """

    def read(settings: Settings, lake: Lake) -> list[Outcome]:
        landings = _landings(settings, lake, window, reason)
        rows: Rows = []

        def try_again(day: date) -> Outcome:
            replay = stage_replay(settings, lake, landings[day], reason)
            rows.extend(_rows(replay))
            return _keep(lake, landings[day], replay)

        outcomes = read_days("land replay", list(landings), try_again)
        if rows:
            attempt = {"replay_id": new_id(), "started_at": started_at}
            records.keep_replay(settings, [attempt | row for row in rows])
        log.info("%s", _summary(rows))
        for sentence in left_out(lake, window):
            log.info("%s", sentence)
        return [
            dataclasses.replace(outcome, replay_of=outcome.replay_of or landings[outcome.day].ingest_id)
            for outcome in outcomes
            if outcome.status != "unchanged"
        ]

    started_at = now()
    land("land replay", read, audit_events, if_blocked=LEAVE_OUT)


def rehearse(window: Window | None = None, reason: str | None = None) -> Rows:
    """What a replay would do, by day and reason; nothing is changed.

    Raises:
        OtherRules, WrongUsage, LiftoffError: as `replay_events`.
    """
    settings = load_settings()
    lake = Lake(settings.lake_dir)
    rows: Rows = []
    for landed in _landings(settings, lake, window, reason).values():
        replay = stage_replay(settings, lake, landed, reason)
        shutil.rmtree(replay.pending)
        rows += _rows(replay)
    return rows


def left_out(lake: Lake, window: Window | None) -> Iterator[str]:
    """Which refused records a replay cannot try again, why, and what to do about them, in sentences."""
    landed = {one.day: one for one in lake.accepted(EVENTS, EVENTS) if _is_within(window, one.day)}
    if purged := _purged(lake, landed.values()):
        yield f"What {describe_days(purged)} refused was purged: load these days again, if their logs are still there."
    kept = {date.fromisoformat(path.parent.name.removeprefix("dt=")) for path in lake.quarantines(EVENTS, EVENTS)}
    if blocked := [day for day in kept - landed.keys() if _is_within(window, day)]:
        yield f"The gate refused {describe_days(blocked)} as a whole: load these days again, with all their records."
    for table in landed_tables():
        days = [one.day for one in _read_by_builds(table, lake) if one.quarantined and _is_within(window, one.day)]
        if days and table.source != EVENTS:
            yield (
                f"{table} has refused records of {describe_days(days)}. Its source can be asked again: load these days "
                f"once it is mended (liftoff run --start {min(days)} --end {max(days)})."
            )


def _landings(settings: Settings, lake: Lake, window: Window | None, reason: str | None) -> dict[date, Outcome]:
    """The landings that have something to try again, or that have to come under a wider rule."""
    landed = lake.accepted(EVENTS, EVENTS)
    chosen = [one for one in landed if _is_within(window, one.day)]
    if other := [one for one in landed if one.rules != settings.event_rules]:
        is_whole = chosen == landed and reason in {None, Reason.TOO_LATE}
        _refuse_other_rules(settings, other, _purged(lake, other), is_whole=is_whole)
    return {one.day: one for one in chosen if one in other or lake.quarantine_of(one).exists()}


def _refuse_other_rules(
    settings: Settings, other: Sequence[Outcome], purged: Sequence[date], *, is_whole: bool
) -> None:
    days = describe_days(one.day for one in other)
    changed = f"{days} landed under other settings ({other[0].rules}; now {settings.event_rules})"
    if not all(settings.widens(one.rules) for one in other):
        raise OtherRules(f"{changed}, which may refuse what has landed. Load these days again: load_window.")
    if not is_whole:
        raise WrongUsage(
            f"{changed}, and a build does not mix them. Replay all days at once, and {Reason.TOO_LATE} or all reasons."
        )
    if purged:
        raise OtherRules(
            f"{changed}, but the records that {describe_days(purged)} refused were purged, so nobody can say which of "
            "them are accepted now. Load these days again (load_window), or go back to the old setting."
        )


def _keep(lake: Lake, landed: Outcome, replay: Replay) -> Outcome:
    """The outcome of a day. Where no record is accepted now, what is said about the landing is kept here already."""
    if replay.outcome.status == "staged":
        return replay.outcome
    lake.amend(replay.outcome, replay.pending)
    shutil.rmtree(replay.pending)
    return dataclasses.replace(landed, status="unchanged")


def _rows(replay: Replay) -> Rows:
    outcome = replay.outcome
    about = {name: getattr(outcome, name) for name in ("source", "table", "day", "rules")} | {
        "contract_digest": replay.contract_digest,
        "ingest_id": outcome.ingest_id if outcome.status == "staged" else None,
    }
    return [about | {"reason": reason} | dataclasses.asdict(count) for reason, count in replay.by_reason.items()]


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "Nothing to replay: no such record is in quarantine"
    tried, accepted = (sum(row[name] for row in rows) for name in ("tried", "accepted"))
    days = describe_days({row["day"] for row in rows})
    return f"Tried {tried:,} refused records of {days} again: {accepted:,} are accepted now"


def _purged(lake: Lake, landed: Iterable[Outcome]) -> list[date]:
    """The days whose refused records are not kept any more."""
    return [one.day for one in landed if one.quarantined and not lake.quarantine_of(one).exists()]


def _read_by_builds(table: LandedTable, lake: Lake) -> list[Outcome]:
    landed = lake.accepted(table.source, table.name)
    return landed if table.is_daily else landed[-1:]


def _is_within(window: Window | None, day: date) -> bool:
    return window is None or window.start <= day <= window.end
