"""A run that is killed at any moment: readers see a whole release, and the next run makes the same marts."""

import itertools
import os
import pkgutil
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pytest

from liftoff import flow
from liftoff.plan import Window
from simulator.logs import write_day
from tests.e2e.conftest import NewPlatform, Platform, Source, Tables, assert_same, day, window, write_short_day

# Where the run is killed: the function, before or after its n-th call.
POINTS = {
    "before a landing of events is written": ("liftoff.intake.stage_events", "before", 2),
    "after a landing of events is written": ("liftoff.intake.stage_events", "after", 2),
    "before the events are audited": ("liftoff.intake.gate.audit_events", "before", 1),
    "after the events were audited": ("liftoff.intake.gate.audit_events", "after", 1),
    "after a quarantine is swapped, before its data": ("storage.lake.Lake._keep_quarantine", "after", 2),
    "after data are swapped, before their outcome": ("storage.lake.write_json", "before", 1),
    "after an outcome is written": ("storage.lake.write_json", "after", 2),
    "before extracts are written": ("ingestion.extracts.stage_extracts", "before", 1),
    "after extracts are written": ("ingestion.extracts.stage_extracts", "after", 1),
    "after extracts are swapped, before an outcome": ("storage.lake.write_json", "before", 7),
    "between two extracts of a day": ("storage.lake.Lake.accept", "after", 8),
    "after market data is written": ("ingestion.api.stage_market_data", "after", 1),
    "after market data is swapped, before its outcome": ("storage.lake.write_json", "before", 17),
    "before the attempts are recorded": ("liftoff.intake.records.keep_landings", "before", 1),
    "after the first model": ("liftoff.building._log_node", "after", 1),
    "after the last model": ("liftoff.building.dbt.build_models", "after", 1),
    "before the marts are audited": ("liftoff.building.gate.audit_marts", "before", 1),
    "after the marts were audited": ("liftoff.building.gate.audit_marts", "after", 1),
    "before the link is swapped": ("storage.warehouse.Warehouse._show", "before", 1),
    "after the link is swapped": ("storage.warehouse.Warehouse._show", "after", 1),
}

# Each run is a process of its own, forked from one that has imported what a run imports.
SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        *(__name__, "ingestion.api", "ingestion.extracts", "dbt.cli.main", "dbt.adapters.duckdb"),
        *("soda_core.contracts.contract_verification", "soda_duckdb.common.data_sources.duckdb_data_source"),
    ]
)

Installations = tuple[Path, Path, Tables, Tables]


def run_until_killed(target: str, when: str, count: int, span: Window, environment: dict[str, str]) -> None:
    """Load days, and die before or after the n-th call of the function `target`."""
    os.environ |= environment
    owner_name, name = target.rsplit(".", 1)
    owner = pkgutil.resolve_name(owner_name)
    original, calls = getattr(owner, name), itertools.count(1)

    def killing(*args: Any, **kwargs: Any) -> Any:
        is_the_one = next(calls) == count
        if is_the_one and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if is_the_one and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, killing)
    flow.load(span)


@pytest.fixture(scope="module")
def installations(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Installations:
    """An installation with days 0 to 2, of which day 2 was short; its source repaired, and longer by two days."""
    root = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        before = Platform(root / "before")
        for variable, value in source.settings.items():
            patch.setenv(variable, value)
        patch.setenv("LIFTOFF_DATA_DIR", str(before.data_dir))
        patch.setenv("LIFTOFF_EVENTS_DIR", str(root / "events"))
        for number in range(2):
            write_day(source.product, day(number), root / "events")
        write_short_day(source.product, 2, root / "events")
        before.load(0, 2)
        for number in range(2, 5):
            write_day(source.product, day(number), root / "events")
        undisturbed = Platform(root / "undisturbed")
        patch.setenv("LIFTOFF_DATA_DIR", str(undisturbed.data_dir))
        undisturbed.load(0, 4)
        return before.data_dir, root / "events", before.tables(), undisturbed.tables()


@pytest.mark.parametrize("point", POINTS)
def test_killed(
    point: str,
    installations: Installations,
    new_platform: NewPlatform,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, events_dir, before, undisturbed = installations
    platform = new_platform("platform", start)
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(events_dir))
    span = window(2, 4)

    target, when, count = POINTS[point]
    killed = SERVER.Process(target=run_until_killed, args=(target, when, count, span, dict(os.environ)))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, "the run was not killed there"

    seen = platform.tables()
    assert_same(seen, undisturbed if point == "after the link is swapped" else before)

    platform.load(2, 4)
    assert_same(platform.tables(), undisturbed)
    with duckdb.connect(str(platform.current().database), read_only=True) as connection:
        assert connection.execute("select count(*) from meta.ingest where status = 'accepted'").fetchall()[0][0] >= 3
