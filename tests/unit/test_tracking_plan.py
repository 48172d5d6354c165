"""One YAML drives all: what follows from a contract does not drift from it, and the tracking plan says what breaks."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from contracts import CONTRACTS_DIR, SQL_TYPES, EventContracts, load_event_contracts
from ingestion import rules
from liftoff.dbt import compile_models
from liftoff.derived import DBT_TYPES, EVENT_SOURCE, TRACKING_PLAN, derived_files, event_source
from liftoff.lineage import LineageError, relation_of
from liftoff.tracking_plan import LANDED, Broken, PlannedEvent, TrackingPlan, landed_events, plan_of, readers_of
from quality.landed import landed_contract
from quality.promised_events import promised_columns
from storage.lake import Lake
from storage.settings import PROJECT_DIR, Settings, load_settings
from tests.unit.event_lines import line, stage

CONTRACTS = load_event_contracts()
STAGING = "stg_events__event"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The project, compiled without a database or a landing."""
    return compile_models(Settings(data_dir=tmp_path_factory.mktemp("data")), {LANDED: [LANDED]})


@pytest.fixture(scope="module")
def plan(manifest: Mapping[str, Any]) -> TrackingPlan:
    return plan_of(CONTRACTS, readers_of(manifest, CONTRACTS))


@pytest.fixture
def with_a_new_field(tmp_path: Path) -> EventContracts:
    """The contracts after a UI engineer has added a field to one of them, and done nothing else."""
    shutil.copytree(CONTRACTS_DIR / "events", tmp_path / "events")
    shutil.copy(CONTRACTS_DIR / "envelope.yml", tmp_path)
    path = tmp_path / "events" / "app_ready.v2.yml"
    contract = yaml.safe_load(path.read_text())
    words = {"type": "number", "minimum": 0, "maximum": 1, "examples": [0.8], "description": "How full the battery is."}
    contract["properties"]["battery_share"] = words
    path.write_text(yaml.safe_dump(contract))
    return load_event_contracts(tmp_path)


def event(plan: TrackingPlan, name: str) -> PlannedEvent:
    (found,) = (one for one in plan.events if one.latest.event_name == name)
    return found


def without(plan: TrackingPlan, name: str, field: str) -> Broken:
    (found,) = (one for one in event(plan, name).fields if one.field.name == field)
    return found.broken


# ---- what drives what ----


@pytest.mark.parametrize("path", [EVENT_SOURCE, TRACKING_PLAN], ids=lambda path: path.name)
def test_files_that_follow_from_the_contracts_are_as_they_would_be_written(path: Path, plan: TrackingPlan) -> None:
    derived = derived_files(CONTRACTS, plan)[path]
    name = path.relative_to(PROJECT_DIR)
    assert path.read_text(encoding="utf-8") == derived, (
        f"{name} has drifted from contracts/ or the models: make contracts"
    )


def test_what_lands_and_how_it_is_judged_are_what_the_contracts_promise() -> None:
    outcome = stage(*(line(name, version) for name, version in CONTRACTS.events)).outcome
    data = Lake(load_settings().lake_dir).pending(outcome) / "data.parquet"
    landed = dict(duckdb.sql(f"select column_name, column_type from (describe from '{data}')").fetchall())
    assert landed == {name: SQL_TYPES[kind] for name, kind in CONTRACTS.landed.items()}, (
        "ingestion/rules.py: read each field of contracts/ with its type"
    )
    judged = {"dt": "DATE"} | {name: SQL_TYPES[kind] for name, kind in CONTRACTS.landed.items()}
    assert landed_contract("events").columns == judged, "quality/promised_events.py: judge each field of contracts/"


def test_staging_selects_every_field_that_lands(manifest: Mapping[str, Any]) -> None:
    (sql,) = (node["compiled_code"] for node in manifest["nodes"].values() if node["name"] == STAGING)
    staged = relation_of(sql, {LANDED: landed_events(CONTRACTS)}).columns.values()
    missing = CONTRACTS.landed.keys() - {column.copies for column in staged} - {"event_at"}
    assert not missing, f"{STAGING}.sql and .yml: select {', '.join(sorted(missing))}, which contracts/ promise"


def test_a_new_field_reaches_reader_source_gate_and_plan_by_its_contract_alone(
    with_a_new_field: EventContracts, manifest: Mapping[str, Any]
) -> None:
    assert '"battery_share" DOUBLE' in rules.json_columns(with_a_new_field)["properties"]
    assert {"name": "battery_share", "data_type": "DOUBLE"} in promised_columns(with_a_new_field)
    assert "{name: battery_share, data_type: double}" in event_source(with_a_new_field)
    text = plan_of(with_a_new_field, readers_of(manifest, with_a_new_field)).markdown()
    assert "| `battery_share` | How full the battery is. | number | at least 0, at most 1 | no | version 2 |" in text
    assert "- `battery_share`, `network_type`: no metric and no table" in text


def test_the_source_has_a_type_for_each_of_the_contracts() -> None:
    assert DBT_TYPES.keys() <= SQL_TYPES.keys()
    for kind in SQL_TYPES:
        assert DBT_TYPES.get(kind, kind) in {"string", "bigint", "double", "boolean", "timestamp"}


# ---- what breaks ----

VERIFIED_BY_HAND = {
    ("playback_start", "startup_seconds"): {"fct_playback": ("startup_seconds",)},
    ("app_crash", "phase"): {
        "mart_app_stability_daily": ("startup_crash_sessions", "startup_crash_rate"),
        "fct_crash": ("phase",),
        "fct_session": ("has_startup_crash",),
    },
    ("playback_stop", "position_seconds"): {"fct_playback": ("stop_position_seconds",)},
    ("playback_heartbeat", "position_seconds"): {},  # asked of a stop alone
    ("app_ready", "network_type"): {},
    ("sign_up", "method"): {},  # in staging sign_up_method
    ("playback_stop", "reason"): {},  # in staging stop_reason
    ("title_viewed", "title_id"): {},  # of events of a playback alone
    ("playback_start", "title_id"): {"fct_playback": ("title_id",)},
}


@pytest.mark.parametrize(("name", "field"), VERIFIED_BY_HAND)
def test_the_tables_that_read_a_field_are_those_of_the_models(name: str, field: str, plan: TrackingPlan) -> None:
    assert dict(without(plan, name, field).tables) == VERIFIED_BY_HAND[name, field]


def test_watched_seconds_make_watch_hours_and_no_metric_of_coming_back(plan: TrackingPlan) -> None:
    broken = without(plan, "playback_heartbeat", "watched_seconds")
    assert broken.metrics == ("Watch hours",)
    tables = dict(broken.tables)
    assert tables.keys() == {
        *("mart_engagement_daily", "mart_experiment_result", "mart_experiment_user"),
        *("fct_playback", "fct_user_activity_day"),
    }
    assert set(tables["mart_engagement_daily"]) == {"watching_users", "watch_hours", "watch_hours_per_active_user"}


def test_an_event_breaks_what_asks_for_it_by_name(plan: TrackingPlan) -> None:
    assert event(plan, "app_crash").broken.metrics == ("Crash-free sessions", "Sessions without a crash")
    assert ("fct_crash", ()) in event(plan, "app_crash").broken.tables, "all of it: its rows are crashes"
    assert "Active users" in event(plan, "app_ready").broken.metrics
    assert "Crash-free sessions" not in event(plan, "app_ready").broken.metrics
    assert not event(plan, "title_viewed").broken


def test_a_field_of_the_envelope_breaks_what_reads_it_of_any_event(plan: TrackingPlan) -> None:
    broken = {one.field.name: one.broken for one in plan.envelope.fields}
    assert {table for table, _ in broken["device_model"].tables} == {"dim_device", "fct_crash", "fct_session"}
    assert "Active users" in broken["user_id"].metrics
    assert "Crash-free sessions" not in broken["user_id"].metrics
    assert not broken["schema_version"]
    assert broken["sent_at"] == broken["received_at"], "both correct the time of the event"


def test_sums_of_money_break_by_no_event(plan: TrackingPlan) -> None:
    read = [broken for one in (*plan.events, plan.envelope) for broken in (one.broken, *one.by_what_breaks)]
    metrics = {label for broken in read for label in broken.metrics}
    tables = {table for broken in read for table, _ in broken.tables}
    assert len(metrics) >= 12
    assert "Revenue" not in {label.split()[0] for label in metrics}
    assert not tables & {"mart_revenue_daily", "fct_payment", "dim_plan", "mart_country_stats"}


def test_a_model_that_sorts_by_all_and_was_renamed_is_asked_for(manifest: Mapping[str, Any]) -> None:
    nodes = {key: node for key, node in manifest["nodes"].items() if node["name"] != "int_event__deduplicated"}
    with pytest.raises(LineageError, match=r"no model int_event__deduplicated.*SORTS_BY_ALL"):
        readers_of({**manifest, "nodes": nodes}, CONTRACTS)


# ---- what people read ----


def test_a_field_says_since_which_version_it_is_sent(plan: TrackingPlan) -> None:
    versions = {one.field.name: one.since.version for one in event(plan, "playback_start").fields}
    assert versions == {"playback_id": 1, "title_id": 1, "audio_language": 2, "startup_seconds": 2}


@pytest.mark.usefixtures("with_a_new_field")
def test_a_field_that_a_later_version_dropped_says_until_which(tmp_path: Path, manifest: Mapping[str, Any]) -> None:
    contract = yaml.safe_load((tmp_path / "events" / "app_ready.v2.yml").read_text())
    del contract["properties"]["battery_share"]
    (tmp_path / "events" / "app_ready.v3.yml").write_text(yaml.safe_dump(contract | {"version": 3}))
    contracts = load_event_contracts(tmp_path)
    plan = plan_of(contracts, readers_of(manifest, contracts))
    assert "| version 2, until 2 |" in plan.markdown()
    assert "since version 2, until 2" in plan.html()
    assert plan.html().count(", until") == 1


def test_the_page_says_of_each_field_what_its_contract_says(plan: TrackingPlan) -> None:
    html = plan.html()
    for contract in CONTRACTS.events.values():
        assert f'id="{contract.event_name}"' in html
        assert contract.sent_by in html
        for field in contract.properties:
            assert f"<code>{field.name}</code>" in html
            assert all(value in html for value in field.enum)
            assert f"<code>{field.example}</code>" in html
    assert "<script" not in html
    assert "http" not in html, "nothing is fetched"
