"""What a run is about: its window of landing days, and which event days its build restates."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from liftoff.sources import EVENTS, landed_tables, rules_of
from storage.days import DAY, days_between, describe_days
from storage.errors import Blocked, WrongUsage
from storage.files import write_json
from storage.lake import Partition
from storage.settings import Settings
from storage.warehouse import Manifest


class NothingLanded(Blocked):
    """The lake holds no accepted landing, so there is nothing to build."""


class DayMissing(Blocked):
    """A day between launch and the last day has no accepted landing, and nobody allowed the gap."""


class TableMissing(Blocked):
    """A table of which only the last landing counts has none, so nothing can stand for it."""


class NotLoadedYet(Blocked):
    """Something is missing as above, and nothing was ever published: the first load has not been made."""


class OtherRules(Blocked):
    """Some landings were made under other settings, so their days would mean something else."""


@dataclass(frozen=True)
class Window:
    """The landing days that a run is about, both ends included."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise WrongUsage(f"The window ends ({self.end}) before it starts ({self.start}). Swap the two dates.")

    def __str__(self) -> str:
        return describe_days(self.days)

    @property
    def days(self) -> list[date]:
        """Each day of the window."""
        return days_between(self.start, self.end)


@dataclass(frozen=True)
class BuildPlan:
    """One build, decided before it starts; kept in the candidate's folder for the steps that follow."""

    launch_date: date
    last_date: date
    """The last day that has landed, or that readers see already: metrics end here."""
    inputs: tuple[Partition, ...]
    restated_dates: tuple[date, ...]
    """Event days whose fact rows are replaced."""
    read_dates: tuple[date, ...]
    """Event days whose events are read: the restated ones and one day on either side."""
    newly_landed_dates: tuple[date, ...]
    """Days of which a daily table has a landing that the parent was not made from; all of them in a full build."""
    gap_dates: tuple[date, ...]
    rules_digest: str
    is_full: bool
    """Starts from an empty database, because there is no parent or the rules changed."""

    def keep(self, folder: Path) -> None:
        """Leave the plan in the candidate's folder, for the steps that follow."""
        write_json(folder / "plan.json", self)

    @property
    def landings_read(self) -> list[Partition]:
        """The inputs that the models read: of events those that hold days to be read, of other tables all."""
        wanted = set(self.read_dates)
        return [one for one in self.inputs if one.source != EVENTS or not wanted.isdisjoint(_event_dates(one))]

    @property
    def landed_records(self) -> dict[str, int]:
        """How many records of each table the inputs hold."""
        counted = {table.name: 0 for table in landed_tables()}
        for one in self.inputs:
            counted[one.table] += one.rows
        return counted


def read_plan(folder: Path) -> BuildPlan:
    """The plan that `BuildPlan.keep` left there.

    Raises:
        Blocked: it is one of another version.
    """
    try:
        return TypeAdapter(BuildPlan).validate_json((folder / "plan.json").read_bytes())
    except ValidationError as error:
        raise Blocked(
            f"Build {folder.name} was begun by another version of Liftoff. Begin another one: run the DAG again."
        ) from error


def plan_build(
    parent: Manifest | None, landed: Sequence[Partition], settings: Settings, models_digest: str, *, allow_gap: bool
) -> BuildPlan | None:
    """Compare what has landed with what the parent release was made from. None when there is nothing to do.

    A landing of events that was added, changed or taken away touches the event days that it holds, or held. Restated
    are those and a day on either side of each: sessions last at most 12 hours, so an event can move the start of a
    session, and the user that its events are attributed to, across one midnight and no further. What is made from
    other sources is made anew in each build.

    Raises:
        NothingLanded: no daily table has an accepted landing yet.
        OtherRules: a landing was made under other settings than the present ones.
        DayMissing: a daily table has none of a day, the parent does not know of it, and `allow_gap` is false.
        TableMissing: another table has none on or before the last day.
        NotLoadedYet: one of the last two, and there is no parent.
    """
    launch, last = settings.launch_date, _last_date(landed, parent)
    inputs = tuple(one for table in landed_tables() for one in table.inputs(landed, last))
    _refuse_other_rules(inputs, settings)
    rules = _rules_digest(settings, models_digest)
    same = parent if parent and parent.rules_digest == rules else None
    changed = set(same.inputs if same else ()) ^ set(inputs)
    missing = _missing_days(inputs, launch, last)
    gaps = tuple(sorted({day for days in missing.values() for day in days}))
    if same and not changed and gaps == same.gap_dates:
        return None
    _refuse_new_gaps(missing, parent, allow_gap=allow_gap)
    _refuse_missing_tables(inputs, last, parent)
    restated = _widen((day for one in changed if one.source == EVENTS for day in _event_dates(one)), launch)
    return BuildPlan(
        launch_date=launch,
        last_date=last,
        inputs=inputs,
        restated_dates=restated,
        read_dates=_widen(restated, launch),
        newly_landed_dates=tuple(sorted({one.day for one in _daily(inputs) if one in changed})),
        gap_dates=gaps,
        rules_digest=rules,
        is_full=same is None,
    )


def _daily(landed: Iterable[Partition]) -> list[Partition]:
    names = {(table.source, table.name) for table in landed_tables() if table.is_daily}
    return [one for one in landed if (one.source, one.table) in names]


def _last_date(landed: Sequence[Partition], parent: Manifest | None) -> date:
    days = [one.day for one in _daily(landed)]
    if not days:
        raise NothingLanded("Nothing has landed yet, so there is nothing to build: run load_window first.")
    # What readers see does not get shorter unless someone allows it.
    return max([*days, parent.last_date] if parent else days)


def _event_dates(partition: Partition) -> list[date]:
    if partition.first_event_date is None or partition.last_event_date is None:
        return []
    return days_between(partition.first_event_date, partition.last_event_date)


def _widen(days: Iterable[date], launch: date) -> tuple[date, ...]:
    """The days and their neighbours; nothing happens before launch."""
    return tuple(sorted({day + DAY * step for day in days for step in (-1, 0, 1) if day + DAY * step >= launch}))


def _missing_days(inputs: Sequence[Partition], launch: date, last: date) -> dict[str, list[date]]:
    """The days without a landing, by the daily table that lacks them."""
    there = {(one.source, one.table, one.day) for one in inputs}
    missing = {
        str(table): [day for day in days_between(launch, last) if (table.source, table.name, day) not in there]
        for table in landed_tables()
        if table.is_daily
    }
    return {table: days for table, days in missing.items() if days}


def _refuse_new_gaps(missing: Mapping[str, Sequence[date]], parent: Manifest | None, *, allow_gap: bool) -> None:
    known = set(parent.gap_dates) if parent else set()
    new = {table: fresh for table, days in missing.items() if (fresh := set(days) - known)}
    if allow_gap or not new:
        return
    tables_of: dict[str, list[str]] = {}
    for table, days in new.items():
        tables_of.setdefault(describe_days(days), []).append(table)
    daily = sum(table.is_daily for table in landed_tables())
    said = (f"{days} ({', '.join(tables)})" if len(tables) < daily else days for days, tables in tables_of.items())
    lacking = f"there is no accepted landing of {'; '.join(said)}"
    if parent is None:
        raise NotLoadedYet(
            f"There is no release to go on from, and {lacking}: run load_window first. Its empty form loads every "
            "day since launch; allow_gap publishes without the missing ones."
        )
    raise DayMissing(
        f"The build was blocked: {lacking}, and a missing day is not a zero. Load them with load_window, "
        "or allow the gap (allow_gap): its metrics are then published as NULL."
    )


def _refuse_missing_tables(inputs: Sequence[Partition], last: date, parent: Manifest | None) -> None:
    there = {(one.source, one.table) for one in inputs}
    if missing := [str(table) for table in landed_tables() if (table.source, table.name) not in there]:
        lacking = f"no landing of {', '.join(missing)} is of {last} or an earlier day"
        if parent is None:
            raise NotLoadedYet(f"There is no release to go on from, and {lacking}: run load_window first.")
        raise TableMissing(f"The build was blocked: {lacking}. Load {last} with load_window.")


def _refuse_other_rules(inputs: Sequence[Partition], settings: Settings) -> None:
    if other := [one for one in inputs if rules_of(one.source, settings) not in {"", one.rules}]:
        is_wider = all(one.source == EVENTS and settings.widens(one.rules) for one in other)
        remedy = "Replay what they refused (liftoff quarantine replay), or load" if is_wider else "Load"
        raise OtherRules(
            f"The build was blocked: {describe_days({one.day for one in other})} landed under other settings "
            f"({other[0].rules}; now {rules_of(other[0].source, settings)}), and a build does not mix them. {remedy} "
            "these days again: load_window."
        )


def _rules_digest(settings: Settings, models_digest: str) -> str:
    """All that changes what a day's rows are, apart from the day's landings."""
    rules = (models_digest, settings.launch_date, settings.late_arrival_days, settings.active_definition)
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:12]
