"""Exploration: all that landed in a window, measured as it came, kept as a page and compared with the last time."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from liftoff.declared import declared_tables
from liftoff.looks import NothingToShow
from liftoff.plan import Window
from liftoff.progress import log
from quality.profile import kept
from quality.profile.declared import Declared
from quality.profile.diff import compare
from quality.profile.findings import Profile, Scope, Table
from quality.profile.measure import measure
from quality.profile.page import render
from quality.profile.relation import Landing
from quality.profile.suspicions import suspect
from storage.days import now
from storage.engine import connect
from storage.errors import LiftoffError, WrongUsage
from storage.files import new_id
from storage.lake import Lake, Outcome
from storage.settings import Settings, load_settings


def explore(window: Window | None = None, table: str = "") -> Profile:
    """Profile what has landed, and keep the profile with its page.

    Args:
        window: the landing days that are looked at; all when it is None.
        table: only this one, as `events` or `payments`.

    Raises:
        NothingToShow: nothing landed in that window.
        WrongUsage: no such table has ever landed.
        LiftoffError: the landings of a table cannot be read together.
    """
    settings, clock = load_settings(), time.monotonic()
    with _landings(settings, window, table) as landed, connect(settings) as connection:
        tables = [_measured(connection, declared, landings) for declared, landings in landed]
    days = [landing.outcome.day for _, landings in landed for landing in landings]
    profile = Profile(
        profile_id=new_id(),
        scope=Scope(len(window.days) if window else None, tables[0].name if table else ""),
        made_at=now(),
        seconds=time.monotonic() - clock,
        start=window.start if window else min(days),
        end=window.end if window else max(days),
        late_arrival_days=settings.late_arrival_days,
        tables=tuple(tables),
    )
    profile = compare(profile, kept.earlier(settings.lake_dir))
    page = kept.keep(settings.lake_dir, profile, render(profile))
    log.info("Profiled %s tables, suspicious: %s. The page is %s", len(tables), len(profile.suspicions), page)
    for one in profile.suspicions:
        log.info("%s %s %s: %s", one.table, one.column, one.says, one.evidence)
    return profile


def _measured(connection: duckdb.DuckDBPyConnection, declared: Declared, landings: Sequence[Landing]) -> Table:
    try:
        return suspect(*measure(connection, declared, landings))
    except duckdb.Error as error:
        raise LiftoffError(
            f"{declared.name} cannot be profiled: {error}\nProfile fewer days, or load the days again whose file is "
            "damaged."
        ) from error


@contextmanager
def _landings(settings: Settings, window: Window | None, table: str) -> Iterator[list[tuple[Declared, list[Landing]]]]:
    """The accepted landings by table. Their files are linked: what lands meanwhile replaces names, not these files."""
    lake = Lake(settings.lake_dir)
    links = lake.begin()  # among what is swept should this process be killed
    try:
        with lake.locked():
            landed = lake.accepted()
            chosen = [
                (declared, outcomes)
                for declared in _asked_for(landed, table)
                if (outcomes := _within(declared, landed, window))
            ]
            if not chosen:
                raise NothingToShow(_nothing(landed, window))
            linked = [(declared, [_link(lake, one, links) for one in outcomes]) for declared, outcomes in chosen]
        yield linked
    finally:
        shutil.rmtree(links)


def _asked_for(landed: Sequence[Outcome], table: str) -> list[Declared]:
    """The tables that have landed, or the one that was asked for."""
    names = {(one.source, one.table) for one in landed}
    there = [declared for declared in declared_tables() if (declared.source, declared.table) in names]
    asked = [declared for declared in there if table in ("", declared.table, declared.name)]
    if there and not asked:
        raise WrongUsage(f"No table {table} has landed. These have: {', '.join(one.name for one in there)}.")
    return asked


def _within(declared: Declared, landed: Sequence[Outcome], window: Window | None) -> list[Outcome]:
    """The landings of the window; of a table that holds everything, else the last one before."""
    ours = [one for one in landed if (one.source, one.table) == (declared.source, declared.table)]
    if window is None:
        return ours
    within = [one for one in ours if window.start <= one.day <= window.end]
    if within or declared.is_daily:
        return within
    return [one for one in ours if one.day < window.start][-1:]


def _nothing(landed: Sequence[Outcome], window: Window | None) -> str:
    if not landed or window is None:
        return "Nothing has landed yet. Load a window first: liftoff run --help"
    days = [one.day for one in landed]
    return f"Nothing landed from {window.start} to {window.end}. What has landed is of {min(days)} to {max(days)}."


def _link(lake: Lake, outcome: Outcome, folder: Path) -> Landing:
    there = folder / outcome.source / outcome.table / f"dt={outcome.day}"
    there.mkdir(parents=True)
    data, refused = there / "data.parquet", there / "quarantine.parquet"
    data.hardlink_to(lake.landing_dir(outcome.source, outcome.table, outcome.day) / "data.parquet")
    quarantine = lake.quarantine_of(outcome)
    if quarantine.exists():
        refused.hardlink_to(quarantine)
    return Landing(outcome, data, refused if refused.exists() else None)
