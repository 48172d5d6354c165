"""From landings to a release: prepare, transform, audit, publish.

A build works on a candidate that nobody reads, so each step can be repeated. Steps of one build find each other through
the candidate's id, so each may run in a process of its own.
"""

import dataclasses
from pathlib import Path
from typing import Any

from liftoff import dbt, looks, records
from liftoff.plan import BuildPlan, plan_build, read_plan
from liftoff.progress import enter, log
from liftoff.sources import landed_tables
from quality import gate
from storage import meta
from storage.days import describe_days, now
from storage.engine import connect
from storage.errors import Blocked, LiftoffError
from storage.lake import Lake, Partition
from storage.settings import Settings, load_settings
from storage.warehouse import Begun, Candidate, Manifest, Warehouse


def prepare(*, allow_gap: bool = False) -> str | None:
    """Begin a build of all that has landed: decide what to restate, and take over the rest from the current release.

    Returns:
        The candidate's id, or None when the current release already holds all that has landed.

    Raises:
        NothingLanded, OtherRules, DayMissing, TableMissing, NotLoadedYet: see `plan_build`.
        LandingInterrupted: a landing must be loaded again first.
        ReleaseDamaged: the current release is not what was published any more.
    """
    enter("prepare")
    settings = load_settings()
    warehouse = _warehouse(settings)
    lake = Lake(settings.lake_dir)
    candidate = warehouse.begin()
    begun = candidate.begun
    try:
        with lake.locked():
            parent = warehouse.release(begun.parent) if begun.parent else None
            plan = plan_build(
                parent.manifest if parent else None,
                [one for table in landed_tables() for one in lake.partitions(table.source, table.name)],
                settings,
                dbt.models_digest(),
                allow_gap=allow_gap,
            )
            if plan:
                _link_inputs(lake, candidate, plan)
        if plan and parent and not plan.is_full:
            candidate.take_over(parent)
    except LiftoffError as error:
        warehouse.discard(candidate)
        records.keep_build(settings, begun, None, error=error)
        raise
    if plan is None:
        warehouse.discard(candidate)
        log.info("Nothing to build: release %s already holds all that has landed", begun.parent)
        return None
    plan.keep(candidate.path)
    log.info("Build %s restates %s", candidate.id, describe_days(plan.restated_dates) or "no day of events")
    return candidate.id


def transform(candidate_id: str) -> None:
    """Run the models on the candidate, with their tests, and add what is known of all runs so far.

    Raises:
        dbt.TransformFailed: a model or a test failed; readers see nothing of it.
    """
    enter("transform")
    settings = load_settings()
    candidate = _warehouse(settings).candidate(candidate_id)
    plan = read_plan(candidate.path)
    with records.recorded(settings, candidate, plan):
        variables = _dbt_variables(settings, candidate, plan)
        dbt.build_models(settings, candidate.database, candidate.scratch, variables, on_node=_log_node)
        candidate.keep_semantic_manifest(dbt.artifacts(settings, candidate.database) / "semantic_manifest.json")
        with connect(settings, candidate.database) as connection:
            meta.load(connection, settings.lake_dir)
            connection.execute("checkpoint")


def audit(candidate_id: str) -> None:
    """Check the candidate's marts against their contracts and keep the report beside them.

    Raises:
        Blocked: a check failed or was not evaluated; the candidate is kept in `warehouse/rejected`.
    """
    enter("audit marts")
    settings = load_settings()
    warehouse = _warehouse(settings)
    candidate = warehouse.candidate(candidate_id)
    plan = read_plan(candidate.path)
    with records.recorded(settings, candidate, plan):
        audited = candidate.digests()
        with connect(settings, candidate.database, read_only=True) as connection:
            report = gate.audit_marts(settings, connection, _built(candidate, plan), subject=f"Build {candidate.id}")
        html = records.keep_audit(settings, report)
        candidate.keep_report({"passed": report.passed, **dataclasses.asdict(report)}, html, audited)
        if not report.passed:
            kept = f"The refused candidate is kept in {warehouse.reject(candidate)}."
            evidence = f"All checks, with rows and history: {looks.evidence(report.gate_id)}"
            said = [report.text(), looks.what_readers_see(settings), kept, evidence]
            raise Blocked("\n".join(said), gate_id=report.gate_id)
    log.info("The gate passed build %s: %s", candidate.id, report.sentence())


def publish(candidate_id: str) -> str:
    """Make the audited candidate the release that readers see. Returns its id.

    Raises:
        Overtaken: another build published meanwhile; run again.
        NotAudited: it has not passed the gate.
    """
    enter("publish")
    settings = load_settings()
    warehouse = _warehouse(settings)
    candidate = warehouse.candidate(candidate_id)
    plan = read_plan(candidate.path)
    begun = candidate.begun
    with records.recorded(settings, candidate, plan):
        release = warehouse.publish(candidate, _manifest(begun, plan))
    records.keep_build(settings, begun, plan)
    log.info("Published release %s: %s to %s", release.id, plan.launch_date, plan.last_date)
    return release.id


def _link_inputs(lake: Lake, candidate: Candidate, plan: BuildPlan) -> None:
    """Give the build the very files that its plan names: what lands later replaces the names, not these files."""
    for one in plan.landings_read:
        file = _input_file(candidate, one)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.hardlink_to(lake.landing_dir(one.source, one.table, one.day) / "data.parquet")


def _input_file(candidate: Candidate, landing: Partition) -> Path:
    return candidate.inputs / landing.source / landing.table / f"{landing.day}.parquet"


def _built(candidate: Candidate, plan: BuildPlan) -> gate.Built:
    return gate.Built(
        launch_date=plan.launch_date,
        last_date=plan.last_date,
        gap_dates=plan.gap_dates,
        restated_dates=plan.restated_dates,
        newly_landed_dates=plan.newly_landed_dates,
        landed=plan.landed_records,
        inputs_dir=candidate.inputs,
        inputs={_input_file(candidate, one): one for one in plan.landings_read},
    )


def _dbt_variables(settings: Settings, candidate: Candidate, plan: BuildPlan) -> dict[str, Any]:
    return {
        "launch_date": str(plan.launch_date),
        "last_date": str(plan.last_date),
        "active_definition": settings.active_definition,
        "late_arrival_days": settings.late_arrival_days,
        "restated_dates": [str(day) for day in plan.restated_dates],
        "read_dates": [str(day) for day in plan.read_dates],
        "gap_dates": [str(day) for day in plan.gap_dates],
        "landing_files": {
            f"{table.source}.{table.name}": sorted(
                str(path) for path in (candidate.inputs / table.source / table.name).glob("*.parquet")
            )
            for table in landed_tables()
        },
    }


def _log_node(node: dbt.NodeResult) -> None:
    log.info("%s %s: %s in %.1f s", node.kind, node.name, node.status, node.seconds)


def _manifest(begun: Begun, plan: BuildPlan) -> Manifest:
    return Manifest(
        release_id=begun.id,
        parent=begun.parent,
        built_at=now(),
        launch_date=plan.launch_date,
        last_date=plan.last_date,
        restated_dates=plan.restated_dates,
        gap_dates=plan.gap_dates,
        rules_digest=plan.rules_digest,
        code_version=records.code_version(),
        inputs=plan.inputs,
    )


def _warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings.warehouse_dir, releases_kept=settings.releases_kept)
