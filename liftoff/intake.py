"""From a source to accepted landings: read each day of a window, audit all of them together, keep what passes.

Landing again replaces its days, so each step can be repeated.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import partial
from typing import TypeAlias

from ingestion.events import stage_events
from liftoff import looks, records
from liftoff.plan import Window
from liftoff.progress import enter, log
from liftoff.sources import EVENTS, WAREHOUSE, landed_tables, rules_of
from quality import gate
from storage.days import describe_days, now
from storage.errors import Blocked, LiftoffError
from storage.lake import Lake, Outcome
from storage.settings import Settings, load_settings

Reader: TypeAlias = Callable[[Settings, Lake], list[Outcome]]
Judge: TypeAlias = Callable[[Settings, Lake, Sequence[Outcome]], gate.Report]

LOAD_AGAIN = "mend the source, then load the same days again. Single refused records: liftoff quarantine list"


class LandingFailed(LiftoffError):
    """Some days or tables of the window could not be read at all. The others have landed."""


def land_events(window: Window) -> list[Outcome]:
    """Read the logs of each day of the window, audit all of them together, and accept the days that pass.

    Raises:
        Blocked: the audit refused some days; they are kept in `lake/rejected`, the others have landed.
        LandingFailed: some days could not be read; the others have landed.
    """
    return land("land events", partial(_stage_events, window=window), audit_events)


def land_extracts(window: Window) -> list[Outcome]:
    """The same for the upstream warehouse: the changes of each day, and on the last one what its lists hold now.

    Raises:
        Blocked, LandingFailed: as above, of some tables and days.
    """
    return land("land extracts", partial(_stage_extracts, window=window), _audit_extracts)


def land_market_data(window: Window) -> list[Outcome]:
    """The same for third-party services, once for the window. What has not changed is not landed again.

    A service that gives no good answer is a warning while what it gave last is young enough.

    Raises:
        Blocked, LandingFailed: as above, of some tables.
    """
    return land("land market data", partial(_stage_market_data, window=window), _audit_market_data)


def land(stage: str, read: Reader, judge: Judge, *, if_blocked: str = LOAD_AGAIN) -> list[Outcome]:
    """Read days, audit all of them together, and accept what passes: the steps of every source.

    Args:
        stage: what `display.py` shows, `land ...`; `audit ...` is shown after it.
        read: returns an outcome for whatever was tried. Those that are `staged` are audited.
        judge: audits them.
        if_blocked: what to do when it refuses some.

    Raises:
        Blocked, LandingFailed: as above.
    """
    settings = load_settings()
    lake = Lake(settings.lake_dir)
    lake.sweep(rejected_days=settings.rejected_days_kept)
    enter(stage)
    outcomes = [dataclasses.replace(one, rules=rules_of(one.source, settings)) for one in read(settings, lake)]
    staged = [outcome for outcome in outcomes if outcome.status == "staged"]
    ended = [outcome for outcome in outcomes if outcome.status != "staged"]
    failed = [outcome for outcome in ended if outcome.status == "failed"]
    report = None
    try:
        if staged:
            enter(stage.replace("land", "audit"))
            report = judge(settings, lake, staged)
            records.keep_audit(settings, report)
        ended.extend(_accept_or_reject(lake, outcome, report) for outcome in staged)
    except gate.GateError as error:  # what could not be judged did not pass
        ended.extend(lake.reject(outcome, str(error), None) for outcome in staged)
        raise
    finally:
        records.keep_landings(settings, ended)
    _raise_for(settings, report, failed, if_blocked)
    return ended


def _stage_events(settings: Settings, lake: Lake, window: Window) -> list[Outcome]:
    return read_days("land events", window.days, lambda day: stage_events(settings, lake, day))


def read_days(stage: str, days: Sequence[date], read: Callable[[date], Outcome]) -> list[Outcome]:
    """Read one day of events after another. One that cannot be read is `failed`, and the others go on."""
    outcomes = []
    for number, day in enumerate(days):
        started_at, clock = now(), time.monotonic()
        enter(stage, done=number, total=len(days))
        try:
            outcome = read(day)
        except LiftoffError as error:
            outcome = _failed(EVENTS, EVENTS, day, started_at, time.monotonic() - clock, error)
        _log_staged(outcome)
        outcomes.append(outcome)
    return outcomes


def _stage_extracts(settings: Settings, lake: Lake, window: Window) -> list[Outcome]:
    from ingestion.extracts import stage_extracts

    started_at, clock = now(), time.monotonic()
    try:
        outcomes = stage_extracts(settings, lake, window.days)
    except LiftoffError as error:  # the whole warehouse: nothing of any table was read
        seconds = time.monotonic() - clock
        outcomes = [
            _failed(table.source, table.name, day, started_at, seconds, error)
            for table in landed_tables()
            if table.source == WAREHOUSE
            for day in (window.days if table.is_daily else [window.end])
        ]
    else:
        for outcome in outcomes:
            _log_staged(outcome)
    return outcomes


def _stage_market_data(settings: Settings, lake: Lake, window: Window) -> list[Outcome]:
    from ingestion.api import stage_market_data

    outcomes = stage_market_data(settings, lake, window.end)
    for outcome in outcomes:
        _log_staged(outcome)
    return outcomes


def _failed(source: str, table: str, day: date, at: datetime, seconds: float, error: LiftoffError) -> Outcome:
    return Outcome("", source, table, day, "failed", at, seconds=seconds, reason=str(error))


def _log_staged(outcome: Outcome) -> None:
    name = f"{outcome.table} of {outcome.day}"
    if outcome.status == "staged":
        log.info(
            "Read %s: %s records, %s accepted, %s quarantined, %s repeated",
            *(name, outcome.read, outcome.accepted, outcome.quarantined, outcome.duplicates),
        )
    elif outcome.status == "unchanged":
        log.info("Nothing new in %s", name)
    elif outcome.status == "stale":
        log.warning("Nothing read of %s. %s", name, outcome.reason)
    else:
        log.error("%s could not be read: %s", name.capitalize(), outcome.reason)
    for warning in outcome.warnings:
        log.warning("%s: %s", name.capitalize(), warning)


def audit_events(settings: Settings, lake: Lake, staged: Sequence[Outcome]) -> gate.Report:
    """One audit for all days. Each is compared with the last ones before it, staged or accepted."""
    days = {outcome.day for outcome in staged}
    accepted = [landed.day for landed in lake.accepted(EVENTS, EVENTS) if landed.day not in days]
    trailing = {one for day in days for one in [one for one in accepted if one < day][-gate.TRAILING_DAYS :]}
    baseline = {day: lake.landing_dir(EVENTS, EVENTS, day) / "data.parquet" for day in sorted(trailing)}
    return gate.audit_events(settings, lake, staged, baseline)


def _audit_extracts(settings: Settings, lake: Lake, staged: Sequence[Outcome]) -> gate.Report:
    days = describe_days({outcome.day for outcome in staged})
    return gate.audit_tables(settings, lake, staged, f"Landing of warehouse extracts {days}")


def _audit_market_data(settings: Settings, lake: Lake, staged: Sequence[Outcome]) -> gate.Report:
    tables = ", ".join(sorted(outcome.table for outcome in staged))
    return gate.audit_tables(settings, lake, staged, f"Landing of {tables} {staged[0].day}")


def _accept_or_reject(lake: Lake, outcome: Outcome, report: gate.Report | None) -> Outcome:
    outcome = dataclasses.replace(outcome, gate_id=report.gate_id if report else "")
    if report and report.passed_on(outcome.table, outcome.day):
        return lake.accept(outcome)
    return lake.reject(outcome, report.sentence() if report else "not audited", report)


def _raise_for(settings: Settings, report: gate.Report | None, failed: Sequence[Outcome], if_blocked: str) -> None:
    unread = [f"{days}: {reason}" for days, reason in _said_once(failed)]
    if report and not report.passed:
        lines = [
            report.text(),
            looks.what_readers_see(settings),
            f"What was refused is kept for {settings.rejected_days_kept} days in {settings.lake_dir / 'rejected'}.",
            f"Next: {if_blocked}",
            f"All checks, with rows and history: {looks.evidence(report.gate_id)}",
            *unread,
        ]
        raise Blocked("\n".join(lines), gate_id=report.gate_id)
    if failed:
        raise LandingFailed("\n".join(unread))


def _said_once(failed: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """What could not be read, by reason: a warehouse that is down fails all tables and days for one."""
    for reason in dict.fromkeys(outcome.reason for outcome in failed):
        alike = [outcome for outcome in failed if outcome.reason == reason]
        tables = ", ".join(dict.fromkeys(outcome.table for outcome in alike))
        yield f"{tables} of {describe_days({outcome.day for outcome in alike})} could not be read".capitalize(), reason
