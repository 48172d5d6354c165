"""The gate raises no false alarm on clean days, and names each fact of the full story on its days.

All that is between the sources and the audit of the marts runs, without Airflow. Each product takes a minute or so:
`make alarms` runs them side by side.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from types import MappingProxyType

import pytest

from liftoff import building, intake
from quality.report import CheckResult
from simulator.api_server import serving
from simulator.logs import write_day
from simulator.product import Product, Story
from simulator.upstream import owner_uri
from simulator.warehouse import write_days
from storage.settings import load_settings
from tests.launch import LAUNCH, Fault, day, reports, rewrite_day, window

Gate = Callable[..., list[CheckResult]]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Simulates some days of a product, loads them as one window and publishes.

    Faults are those of the logs of days, by their number. Returns what the gate found that is neither passed nor a
    note. Neither logs nor extracts may have said anything odd.
    """
    with serving() as url:
        for service in ("WORLD_BANK", "FX"):
            monkeypatch.setenv(f"LIFTOFF_{service}_URL", url)

        def load(
            product: Product, first: int, last: int, faults: Mapping[int, Fault] = MappingProxyType({})
        ) -> list[CheckResult]:
            settings = load_settings()
            days = window(first, last)
            for one in days.days:
                write_day(product, one, settings.events_dir)
            for number, fault in faults.items():
                rewrite_day(number, settings.events_dir, fault)
            write_days(product, days.days, owner_uri(settings.warehouse_uri))
            before = reports(settings.lake_dir)
            for land in (intake.land_events, intake.land_extracts):
                assert not [warning for outcome in land(days) for warning in outcome.warnings]
            intake.land_market_data(days)  # it says that an indicator was withdrawn, as the World Bank did
            candidate = building.prepare()
            assert candidate
            building.transform(candidate)
            building.audit(candidate)
            building.publish(candidate)
            new = [report for gate_id, report in reports(settings.lake_dir).items() if gate_id not in before]
            assert len(new) >= 3, "logs, warehouse and marts; services have nothing new each night"
            return [result for report in new for result in report.failures + report.warnings]

        yield load


# The thresholds' comments speak of products of 2,500 users; smaller ones have more of chance in them.
@pytest.mark.parametrize(("seed", "users"), [(1, 2_500), (2, 1_000), (3, 1_000)])
@pytest.mark.parametrize("story", ["off", "launch"])
def test_of_120_clean_days_none_is_warned_of(story: Story, seed: int, users: int, gate: Gate) -> None:
    found = gate(Product(seed=seed, users=users, launch_date=LAUNCH, story=story), 0, 119)
    assert not found, "\n".join(f"{result.table}.{result.name}: {result.message}" for result in found)


def test_each_fact_is_told_in_the_night_after_its_day_and_not_again(gate: Gate) -> None:
    product = Product(users=2_500, launch_date=LAUNCH, story="full")
    told: dict[int, dict[str, tuple[date, ...]]] = {}
    for before, nights in ((range(30), range(30, 34)), (range(34, 40), range(40, 43))):
        gate(product, before[0], before[-1])
        for night in nights:
            told[night] = {result.name: result.days for result in gate(product, night, night)}
    crashing, dark = {night: {"crashes_usual": (day(night),)} for night in (30, 31, 32)}, {"silent_hours": (day(40),)}
    # An experiment whose split is broken is told each night: it is a fact of the experiment.
    of_one_day = {
        night: {name: days for name, days in found.items() if name != "split_as_planned"}
        for night, found in told.items()
    }
    assert of_one_day == {**crashing, 33: {}, 40: dark, 41: {}, 42: {}}


def test_logs_of_which_a_tenth_more_is_lost_each_day_are_told_of_against_their_weekday(gate: Gate) -> None:
    """No day is far below the seven before it, so that sessions pass."""

    def arriving(share: float) -> Fault:
        return lambda _, line: [line] if int(line.get("device_id", "d_00")[-2:], 16) < share * 256 else []

    losing = {29 + days: arriving(0.9**days) for days in range(1, 13)}
    found = {
        result.name: result.days
        for result in gate(Product(users=2_500, launch_date=LAUNCH, story="launch"), 0, 41, losing)
    }
    assert found.keys() == {"weekday_usual", "sign_up_arrived"}
    assert day(41) in found["weekday_usual"]
    assert {one for days in found.values() for one in days} <= {day(number) for number in losing}


def test_the_three_facts_of_the_full_story_are_warned_of_by_name_and_nothing_else(gate: Gate) -> None:
    found = {result.name: result for result in gate(Product(launch_date=LAUNCH, story="full"), 0, 59)}
    assert all(result.outcome == "warned" for result in found.values())
    assert found.keys() == {"silent_hours", "crashes_usual", "split_as_planned"}

    country, release, experiment = (found[name] for name in ("silent_hours", "crashes_usual", "split_as_planned"))
    assert country.days == (day(40),)
    assert country.message.startswith("2026-02-14: country IN: no session began in hours 12 to 17")
    assert release.days == (day(30), day(31), day(32))
    assert all(": android 1.4.0: " in said for said in release.message.split("; "))
    assert "exp_new_player" in experiment.message
    assert (experiment.value, experiment.days) == (1, (day(59),))
