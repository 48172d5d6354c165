"""The gate raises no false alarm on clean days, and names each fact of the full story on its days.

All that is between the sources and the audit of the marts runs, without Airflow. Each product takes a minute or so:
`make alarms` runs them side by side.
"""

import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from liftoff import building, intake
from liftoff.plan import Window
from quality.report import CheckResult, Report
from simulator.api_server import serving
from simulator.logs import write_day
from simulator.product import Product, Story
from simulator.upstream import owner_uri
from simulator.warehouse import write_days
from storage.settings import load_settings

LAUNCH = date(2026, 1, 5)
Gate = Callable[..., list[CheckResult]]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Simulates some days of a product and loads them as one window.

    Returns what the gate found that is neither passed nor a note. Nothing may have been refused.
    """
    with serving() as url:
        for service in ("WORLD_BANK", "FX"):
            monkeypatch.setenv(f"LIFTOFF_{service}_URL", url)

        def load(product: Product, days: int) -> list[CheckResult]:
            settings = load_settings()
            window = Window(LAUNCH, LAUNCH + timedelta(days - 1))
            for day in window.days:
                write_day(product, day, settings.events_dir)
            write_days(product, window.days, owner_uri(settings.warehouse_uri))
            for land in (intake.land_events, intake.land_extracts, intake.land_market_data):
                assert not [warning for outcome in land(window) for warning in outcome.warnings]
            candidate = building.prepare()
            assert candidate
            building.transform(candidate)
            building.audit(candidate)
            return [result for report in reports(settings.lake_dir) for result in report.failures + report.warnings]

        yield load


def reports(lake_dir: Path) -> list[Report]:
    read = TypeAdapter(Report).validate_json
    found = [read(path.read_bytes()) for path in sorted((lake_dir / "reports").glob("*.json"))]
    assert len(found) == 4, "one of each source, and that of the marts"
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("story", ["off", "launch"])
def test_of_120_clean_days_none_is_warned_of(story: Story, seed: int, gate: Gate) -> None:
    assert "LIFTOFF_LAUNCH_DATE" not in os.environ
    found = gate(Product(seed=seed, users=1_000, launch_date=LAUNCH, story=story), days=120)
    assert not found, "\n".join(f"{result.table}.{result.name}: {result.message}" for result in found)


def test_the_three_facts_of_the_full_story_are_warned_of_by_name_and_nothing_else(gate: Gate) -> None:
    found = {result.name: result for result in gate(Product(launch_date=LAUNCH, story="full"), days=60)}
    assert all(result.outcome == "warned" for result in found.values())
    assert found.keys() == {"silent_hours", "crashes_usual", "split_as_planned"}

    country, release, experiment = (found[name] for name in ("silent_hours", "crashes_usual", "split_as_planned"))
    assert country.days == (LAUNCH + timedelta(40),)
    assert country.message.startswith("2026-02-14: country IN: no session began in hours 12 to 17")
    assert release.days == tuple(LAUNCH + timedelta(number) for number in (30, 31, 32))
    assert all(": android 1.4.0: " in said for said in release.message.split("; "))
    assert "exp_new_player" in experiment.message
    assert experiment.value == 1
