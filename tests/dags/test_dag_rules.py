"""House rules for DAGs. Each message names the DAG and the remedy."""

import ast
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from storage.settings import PROJECT_DIR

DAG_FILES = sorted((PROJECT_DIR / "dags").rglob("*.py"))
INGEST = {"ingest_events": "raw_events", "ingest_warehouse": "raw_extracts", "ingest_market_data": "raw_market_data"}
DAG_IDS = {"build_marts", "explore_sources", "load_window", "replay_quarantine", *INGEST}


def test_every_dag_is_loaded(dag_bag: Any) -> None:
    assert set(dag_bag.dags) >= DAG_IDS, "the DAG folder did not load: check dags_folder in conftest"
    assert len(DAG_FILES) == len(dag_bag.dags), "one file, one DAG, and the file is named after it"
    assert {path.stem for path in DAG_FILES} == set(dag_bag.dags)


def test_every_dag_says_who_owns_it_and_what_it_does(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        assert dag.owner not in {"", "airflow"}, f"{dag.dag_id}: pass default_args=DEFAULT_ARGS"
        assert dag.description, f"{dag.dag_id}: add a description, the UI shows it in the list"


def test_every_dag_has_triage_notes(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        text = dag.doc_md or ""
        assert "**Triage**" in text, f"{dag.dag_id}: add a 'Triage' section to the module's docstring"
        assert "not to worry" in text, f"{dag.dag_id}: the triage notes must also say when not to worry"


def test_tags_are_words_of_the_enum(dag_bag: Any) -> None:
    from liftoff.dag_parts import Tag

    tiers = {Tag.TIER_1, Tag.TIER_2}
    for dag in dag_bag.dags.values():
        assert dag.tags, f"{dag.dag_id}: add tags from liftoff.dag_parts.Tag"
        assert dag.tags <= set(Tag), f"{dag.dag_id}: {dag.tags - set(Tag)} are no tags of liftoff.dag_parts.Tag"
        assert len(dag.tags & tiers) == 1, f"{dag.dag_id}: exactly one tier says how soon someone must look"


def test_no_dag_catches_up_or_overlaps_itself(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        assert dag.catchup is False, f"{dag.dag_id}: set catchup=False; load_window loads the past"
        assert dag.max_active_runs == 1, f"{dag.dag_id}: set max_active_runs=1; the warehouse has one writer"


def test_every_task_retries_with_growing_delays(dag_bag: Any) -> None:
    tasks = [task for dag in dag_bag.dags.values() for task in dag.tasks]
    assert len(tasks) >= 10
    for task in tasks:
        assert task.retries >= 2, f"{task.dag_id}.{task.task_id}: pass default_args=DEFAULT_ARGS"
        assert task.retry_exponential_backoff, f"{task.dag_id}.{task.task_id}: delays must grow"
        assert task.max_retry_delay <= timedelta(minutes=15), f"{task.dag_id}.{task.task_id}: someone must be told"


def test_every_task_that_fails_is_told_once_and_by_its_record(dag_bag: Any) -> None:
    from liftoff import alerts
    from liftoff.dag_parts import Tag

    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            name = f"{dag.dag_id}.{task.task_id}"
            assert task.on_failure_callback == [alerts.tell], f"{name}: pass default_args=DEFAULT_ARGS"
            assert not task.on_retry_callback, f"{name}: who is on call is told when no retry is left"
            assert alerts.recorded_as(dag.dag_id, task.task_id) or dag.tags & {Tag.DEMO, Tag.EXPLORE}, (
                f"{name}: say in liftoff/alerts.py whose record tells since when it fails"
            )
        assert not dag.on_failure_callback, f"{dag.dag_id}: its tasks tell already"


def test_every_task_takes_its_turn_in_a_pool_that_each_deployment_creates(dag_bag: Any) -> None:
    from liftoff.flow import POOL

    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert task.pool == POOL, f"{dag.dag_id}.{task.task_id}: pass default_args=DEFAULT_ARGS"
    assert f"airflow pools set {POOL} 1 " in (PROJECT_DIR / "docker-compose.yml").read_text()


def test_every_param_has_a_title_and_help_for_the_form(dag_bag: Any) -> None:
    params = [(dag.dag_id, name, dag.params.get_param(name)) for dag in dag_bag.dags.values() for name in dag.params]
    assert len(params) >= 6
    for dag_id, name, param in params:
        assert param.schema.get("title"), f"{dag_id}: param {name} needs a title"
        assert param.description, f"{dag_id}: param {name} needs a description, which the form shows as help"


def test_what_a_form_may_leave_empty_is_nullable(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            if param.value in (None, ""):
                assert "null" in param.schema.get("type", "null"), (
                    f"{dag.dag_id}: the form demands param {name}, and cannot be sent with it empty: make it "
                    'Param(None, type=["null", "string"])'
                )


def test_the_dates_of_a_window_are_optional_and_empty(dag_bag: Any) -> None:
    for dag_id in (*INGEST, "explore_sources", "load_window", "replay_quarantine"):
        for name in ("start", "end"):
            param = dag_bag.dags[dag_id].params.get_param(name)
            assert param.value is None
            assert "null" in param.schema["type"], f"{dag_id}: {name} must be nullable, or the form demands it"


def test_only_the_partitioned_ingests_emit_raw_assets(dag_bag: Any) -> None:
    emitting = {
        (dag.dag_id, asset.name)
        for dag in dag_bag.dags.values()
        for task in dag.tasks
        for asset in task.outlets
        if asset.name.startswith("raw_")
    }
    assert emitting == set(INGEST.items()), "load_window must emit none, or it also starts build_marts"
    for dag_id in INGEST:
        timetable = dag_bag.dags[dag_id].timetable
        assert type(timetable).__name__ == "CronPartitionTimetable", f"{dag_id}: schedule=one_day_each_night()"


def test_a_build_waits_for_all_sources_of_a_day(dag_bag: Any) -> None:
    awaited = dag_bag.dags["build_marts"].timetable.asset_condition
    assert type(awaited).__name__ == "AssetAll"
    assert {asset.name for asset in awaited.objects} == set(INGEST.values())


def test_marts_are_published_by_builds_alone(dag_bag: Any) -> None:
    publishing = {
        (dag.dag_id, task.task_id)
        for dag in dag_bag.dags.values()
        for task in dag.tasks
        for asset in task.outlets
        if asset.name == "marts"
    }
    assert publishing == {(dag_id, "publish") for dag_id in ("build_marts", "load_window", "replay_quarantine")}


def test_a_build_is_four_visible_steps(dag_bag: Any) -> None:
    assert [task.task_id for task in dag_bag.dags["build_marts"].topological_sort()] == [
        "prepare",
        "transform",
        "audit",
        "publish",
    ]
    window = dag_bag.dags["load_window"]
    assert {task.task_id for task in window.roots} == {"land_events", "land_extracts", "land_market_data"}
    assert window.get_task("prepare").upstream_task_ids == {task.task_id for task in window.roots}
    replay = dag_bag.dags["replay_quarantine"]
    assert [task.task_id for task in replay.topological_sort()][:2] == ["replay_events", "prepare"]


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_dag_files_only_declare(path: Any) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path.name}: the docstring is what the UI shows"
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    allowed = {"typing", "airflow.sdk", "liftoff", "liftoff.dag_parts"}
    if path.parent.name == "demo":
        allowed |= {"airflow.sdk.exceptions", "datetime", "simulator.source", "simulator.upstream"}
        allowed |= {"storage.days", "storage.settings"}
    assert modules <= allowed, f"{path.name} imports {modules - allowed}: put the logic into the package liftoff"
    assert len(path.read_text().splitlines()) < 60, f"{path.name}: a DAG file fits on a screen"


def context(start: str | None = None, end: str | None = None, key: str | None = None) -> dict[str, Any]:
    return {"params": {"start": start, "end": end}, "dag_run": SimpleNamespace(partition_key=key)}


def test_the_form_wins_over_the_partition() -> None:
    from liftoff.dag_parts import window_of

    found = window_of(context("2026-01-07", "2026-01-09", key="2026-02-01"))
    assert (found.start, found.end) == (date(2026, 1, 7), date(2026, 1, 9))


def test_a_partition_is_one_day() -> None:
    from liftoff.dag_parts import window_of

    found = window_of(context(key="2026-02-01"))
    assert found.days == [date(2026, 2, 1)]


def test_a_run_with_neither_is_refused_and_told_about_the_form() -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from liftoff.dag_parts import window_of

    with pytest.raises(AirflowFailException, match="form"):
        window_of(context())


def test_an_empty_form_means_launch_day_to_yesterday() -> None:
    from liftoff.dag_parts import window_or_everything
    from storage.days import now

    found = window_or_everything(context())
    assert (found.start, found.end) == (date(2026, 1, 5), now().date() - timedelta(days=1))


def test_an_empty_form_of_a_replay_means_every_landed_day() -> None:
    from liftoff.dag_parts import window_if_given

    assert window_if_given(context()) is None
    found = window_if_given(context(end="2026-01-09"))
    assert found
    assert (found.start, found.end) == (date(2026, 1, 5), date(2026, 1, 9))


def test_a_replay_can_be_narrowed_to_any_reason(dag_bag: Any) -> None:
    from ingestion.landing import Reason

    param = dag_bag.dags["replay_quarantine"].params.get_param("reason")
    assert param.value is None
    assert param.schema["enum"] == [None, *map(str, Reason)]


def test_what_a_retry_cannot_mend_is_not_retried() -> None:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from liftoff.dag_parts import run_step
    from liftoff.looks import NothingToShow
    from liftoff.plan import NothingLanded
    from storage.errors import Blocked, LiftoffError

    def stop(error: Exception) -> None:
        raise error

    with pytest.raises(AirflowFailException, match="half the day"):
        run_step(stop, Blocked("half the day is missing"))
    with pytest.raises(AirflowSkipException, match="load_window"):
        run_step(stop, NothingLanded("run load_window first"))
    with pytest.raises(AirflowSkipException, match="that window"):
        run_step(stop, NothingToShow("nothing landed in that window"))
    with pytest.raises(LiftoffError, match="growing"):
        run_step(stop, LiftoffError("a file is still growing"))
