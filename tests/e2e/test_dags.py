"""The DAGs, run for real in one process: a day's ingest of each source, the build that follows, and a whole window."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts import CONTRACTS_DIR, load_event_contracts
from liftoff import looks
from simulator.logs import write_day
from simulator.source import missing_days, open_product
from storage.days import DAY, yesterday
from storage.settings import load_settings
from tests.launch import Loaded, NewPlatform, Platform, Source, assert_same, day
from tests.receiver import SECRET, receiving

RUN_DAGS = """
import json, os, sys
from liftoff import headless
from storage.errors import LiftoffError
from storage.settings import load_settings

def run(step):
    dag_id, *values = step.split(":")
    conf = dict(value.split("=") if "=" in value else (name, value) for name, value in zip(("start", "end"), values))
    conf = {name: True if value == "true" else value for name, value in conf.items()}
    try:
        headless.run_dag(dag_id, conf, load_settings(), on_record=lambda record: None)
        return f"{dag_id} done"
    except LiftoffError as error:
        return f"{dag_id} {type(error).__name__} {str(error).splitlines()[0]}"

start_airflow, data_dir = headless._start_airflow, load_settings().data_dir
headless._start_airflow = lambda _: start_airflow(data_dir)
for line in sys.stdin:
    variables, steps = json.loads(line)
    for name in [name for name in os.environ if name.startswith("LIFTOFF_")]:
        del os.environ[name]
    os.environ |= variables
    print(json.dumps([run(step) for step in steps]), flush=True)
"""

RunDags = Callable[..., list[str]]
INGESTED = ["ingest_events done", "ingest_warehouse done", "ingest_market_data done"]


def ingest(number: int) -> list[str]:
    """All three sources of a day."""
    return [f"{said.split()[0]}:{day(number)}:{day(number)}" for said in INGESTED]


@pytest.fixture(scope="module")
def run_dags() -> Iterator[RunDags]:
    """Runs one DAG after another with the settings of the caller, in one process: Airflow takes 7 s to start."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN_DAGS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        asked, answers = process.stdin, process.stdout
        assert asked
        assert answers

        def run(*steps: str) -> list[str]:
            settings = {name: value for name, value in os.environ.items() if name.startswith("LIFTOFF_")}
            print(json.dumps([settings, steps]), file=asked, flush=True)
            said: list[str] = json.loads(answers.readline())
            return said

        yield run


def test_a_day_that_lands_before_the_first_load_is_built_by_load_window_alone(
    platform: Platform, run_dags: RunDags
) -> None:
    said = run_dags(*ingest(2), "build_marts", f"load_window:{day(1)}:{day(1)}")
    assert said[:4] == [*INGESTED, "build_marts done"], "a build before the first load is skipped"
    assert said[4].startswith(
        f"load_window NotLoadedYet There is no release to go on from, and there is no accepted landing of {day(0)}"
    )
    assert not platform.warehouse.releases()
    assert run_dags(f"load_window:{day(0)}:{day(0)}", "build_marts")[0] == "load_window done"
    assert platform.current().manifest.last_date == day(2)

    (platform.warehouse.root / "current").unlink()
    shutil.rmtree(platform.data_dir / "lake" / "raw" / "events" / "events" / f"dt={day(1)}")
    (stopped,) = run_dags("build_marts")
    assert stopped.startswith("build_marts NotLoadedYet"), "what readers lost is no first load: it is not skipped"


def test_the_demo_dag_writes_what_is_missing_or_one_day_as_it_was_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_dags: RunDags
) -> None:
    launch = yesterday() - DAY
    events = tmp_path / "data" / "source" / "events"
    warehouse = str(events.parent / "warehouse.duckdb")
    monkeypatch.setenv("LIFTOFF_LAUNCH_DATE", str(launch))
    open_product(events.parent, launch, users=300)
    assert run_dags("simulate_day") == ["simulate_day done"]
    assert sorted(path.name for path in events.iterdir()) == [str(launch), str(yesterday())]
    assert not missing_days(events, warehouse, launch, yesterday())
    before = {path: path.read_bytes() for path in events.rglob("*.gz")}
    assert run_dags("simulate_day", f"simulate_day:day={launch}:damaged=true") == ["simulate_day done"] * 2
    assert len(list((events / str(launch)).iterdir())) == 12
    assert missing_days(events, warehouse, launch, yesterday()) == [launch]
    refused = run_dags("simulate_day:damaged=true", f"simulate_day:day={launch - DAY}")
    assert [said.split()[1] for said in refused] == ["RunFailed", "RunFailed"]
    assert run_dags("simulate_day") == ["simulate_day done"], "the next night mends it"
    assert {path: path.read_bytes() for path in events.rglob("*.gz")} == before


def test_days_that_are_ingested_and_built_one_by_one_give_what_a_window_gives(
    platform: Platform, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_dags: RunDags
) -> None:
    said = run_dags(
        *["build_marts", *ingest(0), "build_marts", *ingest(1), *ingest(2), "build_marts", "build_marts"],
    )
    assert said == [
        "build_marts done",  # nothing has landed: skipped
        *INGESTED,
        "build_marts done",
        *INGESTED,
        *INGESTED,
        "build_marts done",
        "build_marts done",  # nothing changed: skipped
    ]
    assert len(platform.warehouse.releases()) == 2
    one_by_one = platform.tables()

    for refused in run_dags(*(said.split()[0] for said in INGESTED)):
        assert "WrongUsage This run has neither a partition nor a window" in refused

    write_day(source.product, day(3), tmp_path / "damaged" / "events", damaged=True)
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(tmp_path / "damaged" / "events"))
    with receiving() as on_call:
        monkeypatch.setenv("LIFTOFF_ALERT_WEBHOOK", on_call.address)
        (blocked,) = run_dags(f"load_window:{day(3)}:{day(3)}")
        monkeypatch.delenv("LIFTOFF_ALERT_WEBHOOK")
    assert blocked.startswith(f"load_window Blocked Landing of events {day(3)} was blocked")
    (message,) = on_call.messages
    assert message["title"].startswith(f"Liftoff: Landing of events {day(3)} was blocked"), "one message for all tasks"
    assert f"Readers see release {platform.current().id}" in message["message"]
    assert not [log for log in (platform.data_dir / "logs").rglob("*.log") if SECRET in log.read_text()]
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(source.events_dir))

    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(tmp_path / "window"))
    assert run_dags(f"load_window:{day(0)}:{day(2)}") == ["load_window done"]
    assert_same(Platform(tmp_path / "window").tables(), one_by_one)


def send_app_ready_2(source: Path, target: Path, numbers: range) -> None:
    """Logs as a client writes them that sends a version of app_ready before its contract is known: every fourth, and
    of those every tenth over a network that the contract does not know either.
    """
    count = 0
    for number in numbers:
        (target / str(day(number))).mkdir(parents=True)
        for path in sorted((source / str(day(number))).iterdir()):
            lines = gzip.decompress(path.read_bytes()).split(b"\n")
            for index, line in enumerate(lines):
                if b'"event_name":"app_ready","schema_version":1,' not in line or not line.endswith(
                    b'"properties":{}}'
                ):
                    continue
                count += 1
                if count % 4 == 0:
                    network = b"pigeon" if count % 40 == 0 else b"wifi"
                    sent = line.replace(b'"schema_version":1,', b'"schema_version":2,')
                    lines[index] = sent.removesuffix(b"{}}") + b'{"network_type":"%b"}}' % network
            (target / path.relative_to(source)).write_bytes(gzip.compress(b"\n".join(lines), 1))
    assert count > 400


def test_what_was_refused_is_accepted_once_its_contract_is_known_and_its_rule_is_wider(
    platform: Platform, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_dags: RunDags
) -> None:
    send_app_ready_2(source.events_dir, tmp_path / "events", range(6))
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(tmp_path / "events"))
    shutil.copytree(CONTRACTS_DIR, tmp_path / "contracts")
    (tmp_path / "contracts" / "events" / "app_ready.v2.yml").unlink()
    with monkeypatch.context() as patch:
        for reader in (
            "ingestion.events._contracts",
            "quality.event_window.load_event_contracts",
            "quality.landed.load_event_contracts",
        ):
            patch.setattr(reader, lambda: load_event_contracts(tmp_path / "contracts"))
        platform.load(0, 5)
    before = platform.tables()["mart_active_users_daily"]
    assert {"unknown_version", "too_late"} <= {row["reason"] for row in looks.refused(load_settings(), limit=1)[0]}

    monkeypatch.setenv("LIFTOFF_LATE_ARRIVAL_DAYS", "5")
    (tmp_path / "events").rename(tmp_path / "moved")  # the collector keeps its logs for a few days
    narrowed = run_dags(
        f"replay_quarantine:{day(0)}:{day(1)}", "replay_quarantine:reason=unknown_version", "build_marts"
    )
    assert [said.split()[1] for said in narrowed] == ["WrongUsage", "WrongUsage", "OtherRules"]
    assert run_dags("replay_quarantine") == ["replay_quarantine done"]
    release, replayed = platform.current(), platform.tables()
    assert replayed["mart_active_users_daily"] != before
    assert run_dags("replay_quarantine") == ["replay_quarantine done"]
    assert platform.current() == release, "what was accepted once is not accepted again"

    remaining = {row["reason"] for row in looks.refused(load_settings(), limit=1)[0]}
    assert not remaining & {"unknown_version", "too_late"}
    counts, records = looks.refused(load_settings(), limit=1, event_name="app_ready", schema_version="2")
    assert {row["reason"] for row in counts} == {"not_in_enum"}
    assert [verdict["reason"] for verdict in records[0]["tries"]] == ["unknown_version", "not_in_enum"]

    (tmp_path / "moved").rename(tmp_path / "events")
    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(tmp_path / "from the start"))
    from_the_start = Platform(tmp_path / "from the start")
    from_the_start.load(0, 5)
    assert_same(replayed, from_the_start.tables())
    inputs = [
        {
            (one.table, one.day): (one.rows, one.content_hash)
            for one in release.manifest.inputs
            if one.source == "events"
        }
        for release in (release, from_the_start.current())
    ]
    assert inputs[0] == inputs[1]


def test_what_landed_is_explored_as_a_whole_by_day_or_by_table(
    new_platform: NewPlatform, loaded: Loaded, run_dags: RunDags
) -> None:
    new_platform("empty", None)
    assert run_dags("explore_sources") == ["explore_sources done"], "nothing has landed: skipped"
    platform = new_platform("copy", loaded((0, 1)))
    said = run_dags("explore_sources", f"explore_sources:{day(1)}:{day(1)}", "explore_sources:table=payments")
    assert said == ["explore_sources done"] * 3
    profiles = [json.loads(path.read_text()) for path in sorted((platform.data_dir / "lake/profiles").glob("*.json"))]
    assert [len(one["tables"]) for one in profiles] == [11, 11, 1]
    assert [one["start"] for one in profiles] == [str(day(0)), str(day(1)), str(day(0))]
    (refused,) = run_dags("explore_sources:table=nothing")
    assert refused.startswith("explore_sources WrongUsage No table nothing has landed.")
