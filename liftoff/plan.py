"""What a run is about: its window of landing days, and which event days its build restates."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import TypeAdapter

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


class NotLoadedYet(DayMissing):
    """As above, and nothing was ever published: the first load has not been made."""


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
    gap_dates: tuple[date, ...]
    rules_digest: str
    is_full: bool
    """Starts from an empty database, because there is no parent or the rules changed."""

    def keep(self, folder: Path) -> None:
        """Leave the plan in the candidate's folder, for the steps that follow."""
        write_json(folder / "plan.json", self)

    def landing_days(self, source: str, table: str) -> list[date]:
        """Which landings of a table hold events of the days to be read."""
        wanted = set(self.read_dates)
        return [
            partition.day
            for partition in self.inputs
            if (partition.source, partition.table) == (source, table) and not wanted.isdisjoint(_event_dates(partition))
        ]


def read_plan(folder: Path) -> BuildPlan:
    """The plan that `BuildPlan.keep` left there."""
    return TypeAdapter(BuildPlan).validate_json((folder / "plan.json").read_bytes())


def plan_build(
    parent: Manifest | None, landed: Sequence[Partition], settings: Settings, models_digest: str, *, allow_gap: bool
) -> BuildPlan | None:
    """Compare what has landed with what the parent release was made from. None when there is nothing to do.

    A landing that was added, changed or taken away touches the event days that it holds, or held. Restated are those
    and a day on either side of each: sessions last at most 12 hours, so an event can move the start of a session, and
    the user that its events are attributed to, across one midnight and no further.

    Raises:
        NothingLanded: no landing was accepted yet.
        OtherRules: a landing was made under other settings than the present ones.
        DayMissing: a day has none, the parent does not know of it, and `allow_gap` is false.
        NotLoadedYet: the same, and there is no parent.
    """
    if not landed:
        raise NothingLanded("Nothing has landed yet, so there is nothing to build: run load_window first.")
    _refuse_other_rules(landed, settings)
    rules = _rules_digest(settings, models_digest)
    same = parent if parent and parent.rules_digest == rules else None
    launch, last = settings.launch_date, max(partition.day for partition in landed)
    if parent:
        last = max(last, parent.last_date)  # what readers see does not get shorter unless someone allows it
    touched = {day for partition in set(same.inputs if same else ()) ^ set(landed) for day in _event_dates(partition)}
    gaps = _gaps(landed, launch, last)
    if same and not touched and gaps == same.gap_dates:
        return None
    _refuse_new_gaps(gaps, parent, allow_gap=allow_gap)
    restated = _widen(touched, launch)
    return BuildPlan(
        launch_date=launch,
        last_date=last,
        inputs=tuple(landed),
        restated_dates=restated,
        read_dates=_widen(restated, launch),
        gap_dates=gaps,
        rules_digest=rules,
        is_full=same is None,
    )


def _event_dates(partition: Partition) -> list[date]:
    if partition.first_event_date is None or partition.last_event_date is None:
        return []
    return days_between(partition.first_event_date, partition.last_event_date)


def _widen(days: Iterable[date], launch: date) -> tuple[date, ...]:
    """The days and their neighbours; nothing happens before launch."""
    return tuple(sorted({day + DAY * step for day in days for step in (-1, 0, 1) if day + DAY * step >= launch}))


def _gaps(landed: Sequence[Partition], launch: date, last: date) -> tuple[date, ...]:
    tables = {(partition.source, partition.table) for partition in landed}
    there = {(partition.source, partition.table, partition.day) for partition in landed}
    return tuple(day for day in days_between(launch, last) if any((*table, day) not in there for table in tables))


def _refuse_new_gaps(gaps: Sequence[date], parent: Manifest | None, *, allow_gap: bool) -> None:
    if allow_gap or not (new := set(gaps) - set(parent.gap_dates if parent else ())):
        return
    missing = f"there is no accepted landing of {describe_days(new)}"
    if parent is None:
        raise NotLoadedYet(
            f"Nothing was published yet, and {missing}: run load_window first. Its empty form loads every day since "
            "launch; allow_gap publishes without the missing ones."
        )
    raise DayMissing(
        f"The build was blocked: {missing}, and a missing day is not a zero. Load them with load_window, "
        "or allow the gap (allow_gap): its metrics are then published as NULL."
    )


def _refuse_other_rules(landed: Sequence[Partition], settings: Settings) -> None:
    if other := [partition for partition in landed if partition.rules != settings.landing_rules]:
        raise OtherRules(
            f"The build was blocked: {describe_days(partition.day for partition in other)} landed under other settings "
            f"({other[0].rules}; now {settings.landing_rules}), and a build does not mix them. Load these days again: "
            "load_window."
        )


def _rules_digest(settings: Settings, models_digest: str) -> str:
    """All that changes what a day's rows are, apart from the day's landings."""
    rules = (models_digest, settings.launch_date, settings.late_arrival_days, settings.active_definition)
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:12]
