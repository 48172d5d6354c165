"""Which days a build restates."""

import dataclasses
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from liftoff.plan import (
    BuildPlan,
    DayMissing,
    NothingLanded,
    NotLoadedYet,
    OtherRules,
    TableMissing,
    plan_build,
    read_plan,
)
from liftoff.sources import EVENTS, landed_tables, rules_of
from storage.days import describe_days, now
from storage.errors import LiftoffError
from storage.lake import Partition
from storage.settings import Settings
from storage.warehouse import Manifest

LAUNCH = date(2026, 1, 5)
SETTINGS = Settings(launch_date=LAUNCH)


def day(number: int) -> date:
    return LAUNCH + timedelta(days=number)


def landing(number: int, content: str = "a", first: int | None = None) -> Partition:
    return Partition(
        "events",
        "events",
        day(number),
        10,
        content,
        day(number if first is None else first),
        day(number),
        SETTINGS.event_rules,
    )


def other(source: str, table: str, number: int, content: str = "a") -> Partition:
    """A landing of another source than events."""
    return Partition(source, table, day(number), 10, content, None, None, rules_of(source, SETTINGS))


LATEST = [(table.source, table.name) for table in landed_tables() if not table.is_daily]
DAILY = [(table.source, table.name) for table in landed_tables() if table.is_daily and table.source != EVENTS]


def complete(events: Sequence[Partition]) -> list[Partition]:
    """The landings of events with all that other sources need to have for them."""
    if not events:
        return []
    extracts = [other(*table, (one.day - LAUNCH).days) for table in DAILY for one in events]
    first = min((one.day - LAUNCH).days for one in events)
    return [*events, *extracts, *(other(*table, first) for table in LATEST)]


def manifest_of(plan: BuildPlan) -> Manifest:
    return Manifest(
        release_id="r",
        parent=None,
        built_at=now(),
        launch_date=plan.launch_date,
        last_date=plan.last_date,
        restated_dates=plan.restated_dates,
        gap_dates=plan.gap_dates,
        rules_digest=plan.rules_digest,
        code_version="",
        inputs=plan.inputs,
    )


def planned(
    parent: BuildPlan | None, *landed: Partition, allow_gap: bool = False, models: str = "m"
) -> BuildPlan | None:
    return planned_exactly(parent, complete(landed), allow_gap=allow_gap, models=models)


def planned_exactly(
    parent: BuildPlan | None, landed: Sequence[Partition], *, allow_gap: bool = False, models: str = "m"
) -> BuildPlan | None:
    manifest = manifest_of(parent) if parent else None
    return plan_build(manifest, landed, Settings(launch_date=LAUNCH), models, allow_gap=allow_gap)


def must_plan(parent: BuildPlan | None, *landed: Partition, allow_gap: bool = False, models: str = "m") -> BuildPlan:
    plan = planned(parent, *landed, allow_gap=allow_gap, models=models)
    assert plan is not None
    return plan


def test_the_first_build_restates_every_day_and_starts_empty() -> None:
    plan = must_plan(None, landing(0), landing(1))
    assert plan.is_full
    assert plan.restated_dates == (day(0), day(1), day(2))
    assert plan.last_date == day(1)


def test_a_new_landing_restates_the_event_days_it_holds_and_their_neighbours() -> None:
    first = must_plan(None, *map(landing, range(10)))
    plan = must_plan(first, *map(landing, range(10)), landing(10, first=8))
    assert not plan.is_full
    assert plan.restated_dates == tuple(map(day, range(7, 12)))
    assert plan.read_dates == tuple(map(day, range(6, 13)))
    assert plan.newly_landed_dates == (day(10),)


def test_a_changed_landing_restates_what_it_held_before_and_what_it_holds_now() -> None:
    before = must_plan(None, *map(landing, range(9)), landing(9, "old", first=6))
    after = must_plan(before, *map(landing, range(9)), landing(9, "new", first=9))
    assert after.restated_dates == tuple(map(day, range(5, 11)))
    assert after.newly_landed_dates == (day(9),)


@pytest.mark.parametrize("gone", [4, 9])
def test_a_landing_that_was_taken_away_blocks_until_someone_allows_the_gap(gone: int) -> None:
    before = must_plan(None, *map(landing, range(10)))
    left = [landing(number) for number in range(10) if number != gone]
    with pytest.raises(DayMissing, match=str(day(gone))):
        planned(before, *left)
    after = must_plan(before, *left, allow_gap=True)
    assert set(after.restated_dates) == {day(gone - 1), day(gone), day(gone + 1)}
    assert (after.last_date, after.gap_dates) == (day(9), (day(gone),))
    assert after.newly_landed_dates == ()


@pytest.mark.parametrize("now", [Settings(launch_date=day(-1)), Settings(launch_date=LAUNCH, late_arrival_days=5)])
def test_landings_of_other_settings_are_not_mixed_in(now: Settings) -> None:
    with pytest.raises(OtherRules, match="2026-01-05 to 2026-01-06 landed under other settings"):
        plan_build(None, complete([landing(0), landing(1)]), now, "m", allow_gap=True)


@pytest.mark.parametrize(("days", "can_be_replayed"), [(5, True), (2, False)])
def test_after_a_wider_rule_a_replay_is_enough_and_only_logs_are_concerned(days: int, *, can_be_replayed: bool) -> None:
    changed = Settings(launch_date=LAUNCH, late_arrival_days=days)
    with pytest.raises(OtherRules) as refused:
        plan_build(None, complete([landing(0)]), changed, "m", allow_gap=True)
    assert ("quarantine replay" in str(refused.value)) == can_be_replayed
    replayed = [dataclasses.replace(landing(0), rules=changed.event_rules)]
    assert plan_build(None, complete(replayed), changed, "m", allow_gap=True)


def test_another_definition_of_active_restates_everything() -> None:
    first = must_plan(None, landing(0), landing(1))
    opened = Settings(launch_date=LAUNCH, active_definition="opened")
    plan = plan_build(manifest_of(first), complete([landing(0), landing(1)]), opened, "m", allow_gap=False)
    assert plan is not None
    assert plan.is_full


def test_nothing_is_built_when_nothing_changed() -> None:
    first = must_plan(None, landing(0), landing(1))
    assert planned(first, landing(0), landing(1)) is None


def test_changed_models_restate_everything() -> None:
    first = must_plan(None, landing(0), landing(1))
    plan = must_plan(first, landing(0), landing(1), models="other models")
    assert plan.is_full
    assert set(plan.restated_dates) >= {day(0), day(1)}


def test_a_missing_day_blocks_the_build_and_is_named() -> None:
    first = must_plan(None, landing(0))
    with pytest.raises(DayMissing, match="no accepted landing of 2026-01-07 to 2026-01-08, and"):
        planned(first, landing(0), landing(1), landing(4))


def test_days_that_are_missing_before_the_first_release_ask_for_the_first_load() -> None:
    with pytest.raises(NotLoadedYet, match="run load_window first"):
        planned(None, landing(4))
    first = must_plan(None, landing(0))
    with pytest.raises(DayMissing) as stopped:
        planned(first, landing(0), landing(2))
    assert not isinstance(stopped.value, NotLoadedYet)


def test_a_missing_launch_day_blocks_the_build() -> None:
    with pytest.raises(NotLoadedYet, match="2026-01-05"):
        planned(None, landing(1))


def test_an_allowed_gap_is_recorded_and_stays_allowed_but_a_new_one_is_not() -> None:
    gap = must_plan(None, landing(0), landing(2), allow_gap=True)
    assert gap.gap_dates == (day(1),)
    assert must_plan(gap, landing(0), landing(2), landing(3)).gap_dates == (day(1),)
    with pytest.raises(DayMissing, match="2026-01-08"):
        planned(gap, landing(0), landing(2), landing(4))


def test_a_build_without_any_landing_is_refused() -> None:
    with pytest.raises(NothingLanded):
        planned(None)


def test_only_landings_that_hold_events_of_the_days_to_be_read_are_read() -> None:
    first = must_plan(None, *map(landing, range(20)))
    plan = must_plan(first, *map(landing, range(20)), landing(20, first=19))
    assert [one.day for one in plan.landings_read if one.source == EVENTS] == list(map(day, range(17, 21)))
    assert len([one for one in plan.landings_read if one.table == "payments"]) == 21, "others are read whole"


def test_a_day_without_its_extracts_is_missing_although_its_events_are_there() -> None:
    landed = complete([landing(0), landing(1)])
    first = planned_exactly(None, landed)
    with pytest.raises(DayMissing, match=r"2026-01-07 \(warehouse.account_changes, warehouse.payments, warehouse.sub"):
        planned_exactly(first, [*landed, landing(2)])
    gap = planned_exactly(first, [*landed, landing(2)], allow_gap=True)
    assert gap is not None
    assert gap.gap_dates == (day(2),)


def test_extracts_of_a_day_without_events_make_it_a_missing_day_not_a_shorter_range() -> None:
    landed = complete([landing(0)])
    first = planned_exactly(None, landed)
    with pytest.raises(DayMissing, match=r"2026-01-06 \(events, warehouse.payments"):
        planned_exactly(first, [*landed, other("warehouse", "account_changes", 1)])


def test_a_changed_landing_of_another_source_is_built_and_restates_no_events() -> None:
    landed = complete([landing(0), landing(1)])
    first = planned_exactly(None, landed)
    mended = [one for one in landed if (one.table, one.day) != ("payments", day(1))]
    plan = planned_exactly(first, [*mended, other("warehouse", "payments", 1, "mended")])
    assert plan is not None
    assert (plan.restated_dates, plan.read_dates, plan.is_full) == ((), (), False)
    assert plan.newly_landed_dates == (day(1),)
    assert plan.landed_records["payments"] == 20


@pytest.mark.parametrize("table", LATEST)
def test_of_what_is_landed_whole_the_last_landing_up_to_the_last_day_counts(table: tuple[str, str]) -> None:
    landed = complete([landing(0), landing(1)])
    first = planned_exactly(None, landed)
    assert planned_exactly(first, [*landed, other(*table, 5, "of a day to come")]) is None
    plan = planned_exactly(first, [*landed, other(*table, 1, "new")])
    assert plan is not None
    assert [one.content_hash for one in plan.inputs if (one.source, one.table) == table] == ["new"]


@pytest.mark.parametrize("table", LATEST)
def test_a_table_that_never_landed_blocks_the_build_and_no_gap_makes_up_for_it(table: tuple[str, str]) -> None:
    landed = complete([landing(0), landing(1)])
    first = planned_exactly(None, landed)
    without = [one for one in landed if (one.source, one.table) != table]
    with pytest.raises(TableMissing, match=".".join(table)):
        planned_exactly(first, without, allow_gap=True)
    with pytest.raises(NotLoadedYet, match="run load_window first"):
        planned_exactly(None, without, allow_gap=True)


def test_a_build_that_another_version_began_is_to_be_made_again(tmp_path: Path) -> None:
    made = planned(None, landing(0))
    assert made
    made.keep(tmp_path)
    assert read_plan(tmp_path) == made
    (tmp_path / "plan.json").write_bytes((tmp_path / "plan.json").read_bytes().replace(b"newly_landed", b"new"))
    with pytest.raises(LiftoffError, match="another version of Liftoff"):
        read_plan(tmp_path)


def test_days_are_described_as_runs() -> None:
    assert describe_days([day(4), day(0), day(1), day(2)]) == "2026-01-05 to 2026-01-07, 2026-01-09"
