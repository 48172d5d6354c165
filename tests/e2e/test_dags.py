"""The three DAGs, run for real in one process: a day's ingest, the build that follows, and a whole window."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.logs import write_day
from tests.e2e.conftest import Platform, Source, assert_same, day

RUN_DAGS = """
import sys
from liftoff import headless
from storage.errors import LiftoffError
from storage.settings import load_settings

for step in sys.argv[1:]:
    dag_id, *dates = step.split(":")
    conf = dict(zip(("start", "end"), dates))
    try:
        headless.run_dag(dag_id, conf, load_settings(), on_record=lambda record: None)
        print(dag_id, "done", flush=True)
    except LiftoffError as error:
        print(dag_id, type(error).__name__, str(error).splitlines()[0], flush=True)
"""


def run_dags(*steps: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN_DAGS, *steps], env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_days_that_are_ingested_and_built_one_by_one_give_what_a_window_gives(
    platform: Platform, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = [f"ingest_events:{day(number)}:{day(number)}" for number in range(3)]
    said = run_dags("build_marts", ingest[0], "build_marts", ingest[1], ingest[2], "build_marts", "build_marts")
    assert said == [
        "build_marts done",  # nothing has landed: skipped
        "ingest_events done",
        "build_marts done",
        "ingest_events done",
        "ingest_events done",
        "build_marts done",
        "build_marts done",  # nothing changed: skipped
    ]
    assert len(platform.warehouse.releases()) == 2
    one_by_one = platform.tables()

    (refused,) = run_dags("ingest_events")
    assert refused.startswith("ingest_events WrongUsage This run has neither a partition nor a window")

    write_day(source.product, day(3), tmp_path / "damaged" / "events", damaged=True)
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(tmp_path / "damaged" / "events"))
    (blocked,) = run_dags(f"load_window:{day(3)}:{day(3)}")
    assert blocked.startswith(f"load_window Blocked Landing of events {day(3)} was blocked")
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(source.events_dir))

    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(tmp_path / "window"))
    assert run_dags(f"load_window:{day(0)}:{day(2)}") == ["load_window done"]
    assert_same(Platform(tmp_path / "window").tables(), one_by_one)
