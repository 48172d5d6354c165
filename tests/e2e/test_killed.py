"""A run that is killed at any moment: readers see a whole release, and the next run makes the same marts."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from simulator.logs import write_day
from tests.e2e.conftest import Platform, Source, Tables, assert_same, day, window, write_short_day

# Where the run is killed: the function, before or after its n-th call.
POINTS = {
    "before a landing of events is written": ("liftoff.flow.stage_events", "before", 2),
    "after a landing of events is written": ("liftoff.flow.stage_events", "after", 2),
    "before the events are audited": ("liftoff.flow.gate.audit_events", "before", 1),
    "after the events were audited": ("liftoff.flow.gate.audit_events", "after", 1),
    "after a quarantine is swapped, before its data": ("storage.lake.Lake._keep_quarantine", "after", 2),
    "after data are swapped, before their outcome": ("storage.lake.write_json", "before", 1),
    "after an outcome is written": ("storage.lake.write_json", "after", 2),
    "before extracts are written": ("ingestion.extracts.stage_extracts", "before", 1),
    "after extracts are written": ("ingestion.extracts.stage_extracts", "after", 1),
    "after extracts are swapped, before an outcome": ("storage.lake.write_json", "before", 7),
    "between two extracts of a day": ("storage.lake.Lake.accept", "after", 8),
    "after market data is written": ("ingestion.api.stage_market_data", "after", 1),
    "after market data is swapped, before its outcome": ("storage.lake.write_json", "before", 17),
    "before the attempts are recorded": ("liftoff.flow.records.keep_landings", "before", 1),
    "after the first model": ("liftoff.flow._log_node", "after", 1),
    "after the last model": ("liftoff.flow.dbt.build_models", "after", 1),
    "before the marts are audited": ("liftoff.flow.gate.audit_marts", "before", 1),
    "after the marts were audited": ("liftoff.flow.gate.audit_marts", "after", 1),
    "before the link is swapped": ("storage.warehouse.Warehouse._show", "before", 1),
    "after the link is swapped": ("storage.warehouse.Warehouse._show", "after", 1),
}

KILLED_RUN = """
import importlib, os, pkgutil, signal, sys
from datetime import date
from liftoff import flow
from liftoff.plan import Window

target, when, count, first, last = sys.argv[1:]
owner_name, name = target.rsplit(".", 1)
owner = pkgutil.resolve_name(owner_name)
original, calls = getattr(owner, name), 0

def killing(*args, **kwargs):
    global calls
    calls += 1
    if when == "before" and calls == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*args, **kwargs)
    if when == "after" and calls == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, killing)
flow.load(Window(date.fromisoformat(first), date.fromisoformat(last)))
"""

Loaded = tuple[Path, Path, Tables, Tables]


@pytest.fixture(scope="module")
def loaded(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
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
    loaded: Loaded,
    new_platform: Callable[[str, Path | None], Platform],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, events_dir, before, undisturbed = loaded
    platform = new_platform("platform", start)
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(events_dir))
    span = window(2, 4)

    target, when, count = POINTS[point]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, target, when, str(count), str(span.start), str(span.end)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, f"the run was not killed there: {killed.stderr[-2000:]}"

    seen = platform.tables()
    assert_same(seen, undisturbed if point == "after the link is swapped" else before)

    platform.load(2, 4)
    assert_same(platform.tables(), undisturbed)
    with duckdb.connect(str(platform.current().database), read_only=True) as connection:
        assert connection.execute("select count(*) from meta.ingest where status = 'accepted'").fetchall()[0][0] >= 3
