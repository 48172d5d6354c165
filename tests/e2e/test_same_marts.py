"""Whatever the order in which days are loaded, the marts are the same, row by row."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from liftoff import flow
from storage.lake import LandingInterrupted
from storage.settings import load_settings
from tests.e2e.conftest import Platform, Source, Tables, assert_same, day, window, write_short_day

DAYS = 10


@pytest.fixture(scope="module")
def expected() -> dict[str, Tables]:
    """Filled by the first test that needs it: one window, one build."""
    return {}


@pytest.fixture
def one_window(expected: dict[str, Tables], new_platform: Callable[[str, Path | None], Platform]) -> Tables:
    """The marts of ten days that were loaded at once."""
    if not expected:
        platform = new_platform("one-window", None)
        platform.load(0, DAYS - 1)
        expected["tables"] = platform.tables()
        assert all(expected["tables"].values()), "an empty table compares with any other"
    return expected["tables"]


def test_daily_loads_in_order_give_the_marts_of_one_window(one_window: Tables, platform: Platform) -> None:
    for number in range(DAYS):
        platform.load(number, number)
    assert_same(platform.tables(), one_window)


def test_days_in_any_order_give_the_marts_of_one_window(
    one_window: Tables, new_platform: Callable[[str, Path | None], Platform]
) -> None:
    platform = new_platform("shuffled", None)
    numbers = random.Random(5).sample(range(DAYS), DAYS)
    assert numbers != sorted(numbers)
    for number in numbers:
        platform.load(number, number, allow_gap=True)
    assert platform.current().manifest.gap_dates == ()
    assert_same(platform.tables(), one_window)


def test_a_rollback_in_the_middle_gives_the_marts_of_one_window(
    one_window: Tables, new_platform: Callable[[str, Path | None], Platform]
) -> None:
    platform = new_platform("rollback", None)
    platform.load(0, 4)
    for number in range(5, 8):
        platform.load(number, number)
    back = platform.warehouse.roll_back(platform.warehouse.releases()[2].id)
    assert back.manifest.last_date == day(5)
    platform.load(8, 9)
    assert platform.current().manifest.parent == back.id
    assert_same(platform.tables(), one_window)


def test_loading_the_same_window_again_builds_nothing(platform: Platform) -> None:
    platform.load(0, 2)
    release = platform.current().id
    assert platform.load(0, 2) is None
    assert platform.current().id == release


def test_changed_settings_restate_everything(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.load(0, 3)
    used = platform.tables()["mart_active_users_daily"]
    monkeypatch.setenv("LIFTOFF_ACTIVE_DEFINITION", "opened")
    assert load_settings().active_definition == "opened"
    platform.load(3, 3)
    opened = platform.tables()["mart_active_users_daily"]
    assert sum(row[1] for row in opened) > sum(row[1] for row in used)
    assert set(platform.current().manifest.restated_dates) >= {day(number) for number in range(4)}


def test_a_build_reads_what_its_plan_names_whatever_lands_meanwhile(
    platform: Platform, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.load(0, 1)
    for land in (flow.land_events, flow.land_extracts, flow.land_market_data):
        land(window(2, 2))
    candidate = flow.prepare()
    assert candidate
    write_short_day(source.product, 2, tmp_path / "half")
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(tmp_path / "half"))
    flow.land_events(window(2, 2))
    for step in (flow.transform, flow.transform, flow.audit, flow.publish, flow.publish):  # each may be tried again
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
    platform: Platform, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.load(0, 2)
    before = platform.current()
    write_short_day(source.product, 2, tmp_path / "half")
    with monkeypatch.context() as patch:
        patch.setenv("LIFTOFF_EVENTS_DIR", str(tmp_path / "half"))
        patch.setattr("storage.lake.write_json", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            platform.load(2, 2)
    with pytest.raises(LandingInterrupted, match=str(day(2))):
        platform.load(1, 1)
    assert platform.current() == before
    platform.load(2, 2)
    assert platform.current().manifest.last_date == day(2)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
