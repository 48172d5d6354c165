"""The steps of the flow, shared by the DAGs and the command line: land, prepare, transform, audit, publish.

Each step can be repeated: landing replaces its days, a build works on a candidate that nobody reads. Steps of one
build find each other through the candidate's id, so each may run in a process of its own.
"""

import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import Any

from ingestion.events import SOURCE, TABLE, stage_events
from liftoff import dbt, records
from liftoff.plan import BuildPlan, Window, plan_build, read_plan
from quality import gate
from storage import meta
from storage.days import describe_days, now
from storage.engine import connect
from storage.errors import Blocked, LiftoffError
from storage.lake import Lake, Outcome
from storage.settings import Settings, load_settings
from storage.warehouse import Begun, Candidate, Manifest, NoRelease, Warehouse, sha256

log = logging.getLogger("liftoff")

POOL = "duckdb"
"""Airflow's pool for these steps, of one slot: each may fill LIFTOFF_DUCKDB_MEMORY_LIMIT, and two builds side by side
would only overtake each other. Whoever deploys Airflow creates it, as docker-compose.yml and liftoff/standalone.py do;
without it tasks wait for ever, and the UI warns."""


class LandingFailed(LiftoffError):
    """Some days of the window could not be read at all. The others have landed."""


def land(window: Window) -> list[Outcome]:
    """Read each day of the window, audit all of them together, and accept those that pass.

    Raises:
        Blocked: the audit refused some days; they are kept in `lake/rejected`, the others have landed.
        LandingFailed: some days could not be read; the others have landed.
    """
    settings = load_settings()
    lake = Lake(settings.lake_dir)
    lake.sweep(rejected_days=settings.rejected_days_kept)
    staged, outcomes = _stage(settings, lake, window)
    failed = tuple(outcomes)
    try:
        report = _audit_landings(settings, lake, staged)
        outcomes.extend(_accept_or_reject(lake, outcome, report) for outcome in staged)
    except gate.GateError as error:  # what could not be judged did not pass
        outcomes += [lake.reject(outcome, str(error), None) for outcome in staged]
        raise
    finally:
        records.keep_landings(settings, outcomes)
    _raise_for(settings, report, failed)
    return outcomes


def prepare(*, allow_gap: bool = False) -> str | None:
    """Begin a build of all that has landed: decide what to restate and copy the current release.

    Returns:
        The candidate's id, or None when the current release already holds all that has landed.

    Raises:
        NothingLanded, OtherRules, DayMissing: see `plan_build`.
        LandingInterrupted: a landing must be loaded again first.
    """
    _enter("prepare")
    settings = load_settings()
    warehouse = _warehouse(settings)
    lake = Lake(settings.lake_dir)
    candidate = warehouse.begin()
    begun = candidate.begun
    try:
        with lake.locked():
            plan = plan_build(
                warehouse.release(begun.parent).manifest if begun.parent else None,
                lake.partitions(SOURCE, TABLE),
                settings,
                dbt.models_digest(),
                allow_gap=allow_gap,
            )
            if plan:
                _link_inputs(lake, candidate, plan)
    except LiftoffError as error:
        warehouse.discard(candidate)
        records.keep_build(settings, begun, None, error=error)
        raise
    if plan is None:
        warehouse.discard(candidate)
        log.info("Nothing to build: release %s already holds all that has landed", begun.parent)
        return None
    if plan.is_full:
        candidate.database.unlink(missing_ok=True)
    plan.keep(candidate.path)
    log.info("Build %s restates %s", candidate.id, describe_days(plan.restated_dates))
    return candidate.id


def transform(candidate_id: str) -> None:
    """Run the models on the candidate, with their tests, and add what is known of all runs so far.

    Raises:
        dbt.TransformFailed: a model or a test failed; readers see nothing of it.
    """
    _enter("transform")
    settings = load_settings()
    candidate = _warehouse(settings).candidate(candidate_id)
    plan = read_plan(candidate.path)
    with records.recorded(settings, candidate, plan):
        variables = _dbt_variables(settings, candidate, plan)
        dbt.build_models(settings, candidate.database, candidate.scratch, variables, on_node=_log_node)
        with connect(settings, candidate.database) as connection:
            meta.load(connection, settings.lake_dir)
            connection.execute("checkpoint")


def audit(candidate_id: str) -> None:
    """Check the candidate's marts against their contracts and keep the report beside them.

    Raises:
        Blocked: a check failed or was not evaluated; the candidate is kept in `warehouse/rejected`.
    """
    _enter("audit marts")
    settings = load_settings()
    warehouse = _warehouse(settings)
    candidate = warehouse.candidate(candidate_id)
    plan = read_plan(candidate.path)
    with records.recorded(settings, candidate, plan):
        audited = sha256(candidate.database)
        with connect(settings, candidate.database, read_only=True) as connection:
            report = gate.audit_marts(
                settings,
                connection,
                last_date=plan.last_date,
                launch_date=plan.launch_date,
                gap_dates=plan.gap_dates,
                subject=f"Build {candidate.id}",
            )
        records.keep_audit(settings, report)
        candidate.keep_report({"passed": report.passed, **dataclasses.asdict(report)}, audited)
        if not report.passed:
            kept = warehouse.reject(candidate)
            raise Blocked(f"{report.text()}\n{_what_readers_see(warehouse)}\nThe refused candidate is kept in {kept}.")
    log.info("The gate passed build %s: %s", candidate.id, report.sentence())


def publish(candidate_id: str) -> str:
    """Make the audited candidate the release that readers see. Returns its id.

    Raises:
        Overtaken: another build published meanwhile; run again.
        NotAudited: it has not passed the gate.
    """
    _enter("publish")
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


def load(window: Window, *, allow_gap: bool = False) -> str | None:
    """All steps for one window, as `load_window` runs them. Returns the release's id, or None if nothing changed."""
    land(window)
    candidate_id = prepare(allow_gap=allow_gap)
    if candidate_id is None:
        return None
    transform(candidate_id)
    audit(candidate_id)
    return publish(candidate_id)


def _stage(settings: Settings, lake: Lake, window: Window) -> tuple[list[Outcome], list[Outcome]]:
    staged, failed = [], []
    for number, day in enumerate(window.days):
        started_at, clock = now(), time.monotonic()
        _enter("land", done=number, total=len(window.days))
        try:
            outcome = stage_events(settings, lake, day)
        except LiftoffError as error:
            log.error("%s could not be read: %s", day, error)  # noqa: TRY400 - the message is for people
            failed.append(
                Outcome(
                    ingest_id="",
                    source=SOURCE,
                    table=TABLE,
                    day=day,
                    status="failed",
                    started_at=started_at,
                    seconds=time.monotonic() - clock,
                    reason=str(error),
                )
            )
        else:
            log.info(
                "Read events of %s: %s lines, %s accepted, %s quarantined, %s repeated",
                *(day, outcome.read, outcome.accepted, outcome.quarantined, outcome.duplicates),
            )
            for warning in outcome.warnings:
                log.warning("%s: %s", day, warning)
            staged.append(dataclasses.replace(outcome, rules=settings.landing_rules))
    return staged, failed


def _audit_landings(settings: Settings, lake: Lake, staged: Sequence[Outcome]) -> gate.Report | None:
    """One audit for all days. A day is compared with the last one before it that was accepted."""
    if not staged:
        return None
    _enter("audit landings")
    first = min(outcome.day for outcome in staged)
    earlier = [landed.day for landed in lake.accepted(SOURCE, TABLE) if landed.day < first]
    baseline = (earlier[-1], lake.landing_dir(SOURCE, TABLE, earlier[-1]) / "data.parquet") if earlier else None
    report = gate.audit_events(settings, lake, staged, baseline)
    records.keep_audit(settings, report)
    return report


def _accept_or_reject(lake: Lake, outcome: Outcome, report: gate.Report | None) -> Outcome:
    outcome = dataclasses.replace(outcome, gate_id=report.gate_id if report else "")
    if report and report.passed_on(outcome.day):
        return lake.accept(outcome)
    return lake.reject(outcome, report.sentence() if report else "not audited", report)


def _raise_for(settings: Settings, report: gate.Report | None, failed: Sequence[Outcome]) -> None:
    unread = [f"{outcome.day} could not be read: {outcome.reason}" for outcome in failed]
    if report and not report.passed:
        lines = [
            report.text(),
            _what_readers_see(_warehouse(settings)),
            f"What was refused is kept for {settings.rejected_days_kept} days in {settings.lake_dir / 'rejected'}.",
            "Next: mend the source, then load the same days again. Single refused lines: liftoff quarantine list",
            *unread,
        ]
        raise Blocked("\n".join(lines))
    if failed:
        raise LandingFailed("\n".join(unread))


def _what_readers_see(warehouse: Warehouse) -> str:
    try:
        release = warehouse.current()
    except NoRelease:
        return "Readers see nothing yet: no release was published."
    return f"Readers still see release {release.id}, which ends on {release.manifest.last_date}."


def _link_inputs(lake: Lake, candidate: Candidate, plan: BuildPlan) -> None:
    """Give the build the very files that its plan names: what lands later replaces the names, not these files."""
    folder = candidate.inputs / SOURCE / TABLE
    folder.mkdir(parents=True)
    for day in plan.landing_days(SOURCE, TABLE):
        (folder / f"{day}.parquet").hardlink_to(lake.landing_dir(SOURCE, TABLE, day) / "data.parquet")


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
            f"{SOURCE}.{TABLE}": sorted(str(path) for path in (candidate.inputs / SOURCE / TABLE).glob("*.parquet"))
        },
    }


def _enter(stage: str, *, done: int = 0, total: int | None = None) -> None:
    """Tell whoever listens to the log how far the run is."""
    log.debug("%s: %s of %s", stage, done, total, extra={"stage": stage, "done": done, "total": total})


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
