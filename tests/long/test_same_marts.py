"""Whatever the order in which days are loaded, the marts are the same, row by row."""

import random
from pathlib import Path

import duckdb
import pytest

from liftoff import building, intake
from storage import meta
from storage.lake import LandingInterrupted
from storage.settings import load_settings
from storage.warehouse import ReleaseDamaged
from tests.launch import Loaded, NewPlatform, Platform, Source, Tables, assert_same, day, window, write_short_day

DAYS = 13
"""All that there are: on the last of them a week's retention is known for the first time."""


@pytest.fixture
def one_window(loaded: Loaded) -> Tables:
    """The marts of days that were loaded at once."""
    tables = Platform(loaded((0, DAYS - 1))).tables()
    assert all(tables.values()), "an empty table compares with any other"
    return tables


@pytest.fixture
def three_days(new_platform: NewPlatform, loaded: Loaded) -> Platform:
    """Days 0 to 2, in one build."""
    return new_platform("three-days", loaded((0, 2)))


@pytest.fixture
def eight_days(new_platform: NewPlatform, loaded: Loaded) -> Platform:
    """Days 0 to 7, in six builds."""
    return new_platform("eight-days", loaded((0, 1), (2, 2), (3, 3), (4, 5), (6, 6), (7, 7)))


def test_daily_loads_in_order_give_the_marts_of_one_window(eight_days: Platform, one_window: Tables) -> None:
    for number in range(8, DAYS):
        eight_days.load(number, number)
    assert_same(eight_days.tables(), one_window)


def test_windows_in_any_order_give_the_marts_of_one_window(one_window: Tables, platform: Platform) -> None:
    windows = [(0, 0), (1, 2), (3, 3), (4, 5), (6, 6), (7, DAYS - 1)]
    shuffled = random.Random(1).sample(windows, len(windows))
    assert (shuffled[0], shuffled[-1]) == ((1, 2), (3, 3)), "neither launch first nor the last day last"
    for first, last in shuffled:
        platform.load(first, last, allow_gap=True)
    assert platform.current().manifest.gap_dates == ()
    assert_same(platform.tables(), one_window)


def test_a_rollback_in_the_middle_gives_the_marts_of_one_window(eight_days: Platform, one_window: Tables) -> None:
    back = eight_days.warehouse.roll_back(eight_days.warehouse.releases()[2].id)
    assert back.manifest.last_date == day(5)
    eight_days.load(8, DAYS - 1)
    assert eight_days.current().manifest.parent == back.id
    assert_same(eight_days.tables(), one_window)


def test_nothing_is_built_on_a_damaged_release_and_going_back_gives_the_marts_of_one_window(
    eight_days: Platform, one_window: Tables
) -> None:
    with eight_days.current().database.open("ab") as file:
        file.write(b"x")
    with pytest.raises(ReleaseDamaged):
        eight_days.load(8, 8)
    assert not list((eight_days.warehouse.root / "candidates").iterdir())
    with duckdb.connect() as connection:
        meta.load(connection, eight_days.data_dir / "lake")
        newest = connection.execute("select status from meta.build order by started_at desc limit 1").fetchall()
    assert newest == [("blocked",)]
    eight_days.warehouse.roll_back()
    eight_days.load(8, DAYS - 1)
    assert_same(eight_days.tables(), one_window)


def test_loading_the_same_window_again_builds_nothing(three_days: Platform) -> None:
    release = three_days.current().id
    assert three_days.load(0, 2) is None
    assert three_days.current().id == release


def test_changed_settings_restate_everything(three_days: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    used = three_days.tables()["mart_active_users_daily"]
    monkeypatch.setenv("LIFTOFF_ACTIVE_DEFINITION", "opened")
    assert load_settings().active_definition == "opened"
    three_days.load(2, 2)
    opened = three_days.tables()["mart_active_users_daily"]
    assert sum(row[1] for row in opened) > sum(row[1] for row in used)
    assert set(three_days.current().manifest.restated_dates) >= {day(number) for number in range(3)}


def test_a_build_reads_what_its_plan_names_whatever_lands_meanwhile(
    new_platform: NewPlatform, loaded: Loaded, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = new_platform("two-days", loaded((0, 1)))
    for land in (intake.land_events, intake.land_extracts, intake.land_market_data):
        land(window(2, 2))
    candidate = building.prepare()
    assert candidate
    write_short_day(source.product, 2, tmp_path / "half")
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(tmp_path / "half"))
    intake.land_events(window(2, 2))
    transform, publish = building.transform, building.publish
    for step in (transform, transform, building.audit, publish, publish):  # each may be tried again
        step(candidate)
    whole = platform.tables()

    assert platform.load(2, 2), "the landing that came meanwhile is new to the release"
    half = platform.tables()
    assert sum(row[1] for row in half["mart_active_users_daily"]) < sum(
        row[1] for row in whole["mart_active_users_daily"]
    )

    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(source.events_dir))
    assert platform.load(2, 2), "and so is the repaired one"
    assert_same(platform.tables(), whole)


def test_a_landing_that_was_interrupted_stops_builds_of_other_days_until_it_is_loaded_again(
    three_days: Platform, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = three_days.current()
    write_short_day(source.product, 2, tmp_path / "half")
    with monkeypatch.context() as patch:
        patch.setenv("LIFTOFF_EVENTS_DIR", str(tmp_path / "half"))
        patch.setattr("storage.lake.write_json", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            three_days.load(2, 2)
    with pytest.raises(LandingInterrupted, match=str(day(2))):
        three_days.load(1, 1)
    assert three_days.current() == before
    three_days.load(2, 2)
    assert three_days.current().manifest.last_date == day(2)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
