"""A run that is killed at any moment: readers see a whole release, and the next run makes the same marts.

A build is made from what it reads: the release before, its plan, and the landings that the plan names. So where nothing
was published yet only that is compared, once it is known what marts come of it.
"""

import itertools
import os
import pkgutil
import shutil
import signal
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pytest

from liftoff import building, flow, intake
from liftoff.plan import BuildPlan, Window, read_plan
from liftoff.sources import landed_tables
from simulator.logs import write_day
from storage import meta
from storage.files import sha256
from tests.launch import NewPlatform, Platform, Source, Tables, assert_same, day, window, write_short_day

SPAN = window(2, 4)
# Where the run is killed: the function, before or after its n-th call.
BEFORE_PUBLISHING = {
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
    "after the marts were audited": ("liftoff.building.gate.audit_marts", "after", 1),
}
PUBLISHING = {
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

Read = tuple[BuildPlan, str, Tables]
"""The plan of a build, the digest of the release before, and the rows of each landing."""


@dataclass(frozen=True)
class Story:
    """A release of days 0 to 2, of which day 2 was short; its source repaired, and longer by two days."""

    data_dir: Path
    events_dir: Path
    before: Tables
    read: Read
    """What the next build reads when nothing comes between."""
    after: Tables


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


def kill_a_run(at: tuple[str, str, int]) -> None:
    killed = SERVER.Process(target=run_until_killed, args=(*at, SPAN, dict(os.environ)))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, "the run was not killed there"


def land_and_prepare(platform: Platform) -> tuple[str, Read]:
    """The candidate of the next build, and what the build will read."""
    for land in (intake.land_events, intake.land_extracts, intake.land_market_data):
        land(SPAN)
    candidate_id = building.prepare()
    assert candidate_id
    candidate = platform.warehouse.candidate(candidate_id)
    landings = {
        str(path.relative_to(candidate.inputs)): duckdb.sql(f"from '{path}' order by all").fetchall()
        for path in candidate.inputs.rglob("*.parquet")
    }
    return candidate_id, (read_plan(candidate.path), sha256(candidate.database), landings)


def assert_recorded(connection: duckdb.DuckDBPyConnection) -> None:
    """Each daily table is known to have landed on each day of the span: only the first of them had before."""
    rows = connection.execute("""select "table", day from meta.ingest where status = 'accepted'""").fetchall()
    daily = {table.name for table in landed_tables() if table.is_daily}
    assert len(daily) > 3
    assert {*rows} >= {*itertools.product(daily, SPAN.days)}


@pytest.fixture(scope="module")
def story(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Told once, to its end, and compared with one load of all days."""
    root = tmp_path_factory.mktemp("killed")
    platform, at_once = Platform(root / "platform"), Platform(root / "at-once")
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in source.settings.items():
            patch.setenv(variable, value)
        patch.setenv("LIFTOFF_DATA_DIR", str(platform.data_dir))
        patch.setenv("LIFTOFF_EVENTS_DIR", str(root / "events"))
        for number in range(2):
            write_day(source.product, day(number), root / "events")
        write_short_day(source.product, 2, root / "events")
        platform.load(0, 2)
        shutil.copytree(platform.data_dir, root / "before", symlinks=True)
        before = platform.tables()
        for number in range(2, 5):
            write_day(source.product, day(number), root / "events")
        candidate_id, read = land_and_prepare(platform)
        for step in (building.transform, building.audit, building.publish):
            step(candidate_id)
        patch.setenv("LIFTOFF_DATA_DIR", str(at_once.data_dir))
        at_once.load(0, 4)
    assert_same(platform.tables(), at_once.tables())
    assert sum(map(len, read[2].values())) > 1_000, "what builds read is not compared"
    return Story(root / "before", root / "events", before, read, at_once.tables())


@pytest.fixture
def platform(story: Story, new_platform: NewPlatform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """As it was before the source was repaired."""
    platform = new_platform("platform", story.data_dir)
    monkeypatch.setenv("LIFTOFF_EVENTS_DIR", str(story.events_dir))
    return platform


@pytest.mark.parametrize("point", BEFORE_PUBLISHING)
def test_killed_before_publishing(point: str, story: Story, platform: Platform) -> None:
    kill_a_run(BEFORE_PUBLISHING[point])
    assert_same(platform.tables(), story.before)

    _, (plan, release_before, landings) = land_and_prepare(platform)
    assert (plan, release_before) == story.read[:2]
    assert landings == story.read[2]
    with duckdb.connect() as connection:
        meta.load(connection, platform.data_dir / "lake")
        assert_recorded(connection)


@pytest.mark.parametrize("point", PUBLISHING)
def test_killed_while_publishing(point: str, story: Story, platform: Platform) -> None:
    kill_a_run(PUBLISHING[point])
    assert_same(platform.tables(), story.after if point == "after the link is swapped" else story.before)

    platform.load(2, 4)
    assert_same(platform.tables(), story.after)
    with duckdb.connect(str(platform.current().database), read_only=True) as connection:
        assert_recorded(connection)
