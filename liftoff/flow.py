"""The steps of the flow, shared by the DAGs and the command line: land each source, prepare, transform, audit, publish.

Each step can be repeated: landing replaces its days, a build works on a candidate that nobody reads. Steps of one
build find each other through the candidate's id, so each may run in a process of its own.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

from ingestion.events import stage_events
from liftoff import dbt, records
from liftoff.plan import BuildPlan, Window, plan_build, read_plan
from liftoff.sources import EVENTS, WAREHOUSE, landed_tables
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


Reader: TypeAlias = Callable[[Settings, Lake, Window], list[Outcome]]
Judge: TypeAlias = Callable[[Settings, Lake, Sequence[Outcome]], gate.Report]


class LandingFailed(LiftoffError):
    """Some days or tables of the window could not be read at all. The others have landed."""


def land_events(window: Window) -> list[Outcome]:
    """Read the logs of each day of the window, audit all of them together, and accept the days that pass.

    Raises:
        Blocked: the audit refused some days; they are kept in `lake/rejected`, the others have landed.
        LandingFailed: some days could not be read; the others have landed.
    """
    return _land("land events", window, _stage_events, _audit_events)


def land_extracts(window: Window) -> list[Outcome]:
    """The same for the upstream warehouse: the changes of each day, and on the last one what its lists hold now.

    Raises:
        Blocked, LandingFailed: as above, of some tables and days.
    """
    return _land("land extracts", window, _stage_extracts, _audit_extracts)


def land_market_data(window: Window) -> list[Outcome]:
    """The same for third-party services, once for the window. What has not changed is not landed again.

    A service that gives no good answer is a warning while what it gave last is young enough.

    Raises:
        Blocked, LandingFailed: as above, of some tables.
    """
    return _land("land market data", window, _stage_market_data, _audit_market_data)


def prepare(*, allow_gap: bool = False) -> str | None:
    """Begin a build of all that has landed: decide what to restate and copy the current release.

    Returns:
        The candidate's id, or None when the current release already holds all that has landed.

    Raises:
        NothingLanded, OtherRules, DayMissing, TableMissing, NotLoadedYet: see `plan_build`.
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
                [one for table in landed_tables() for one in lake.partitions(table.source, table.name)],
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
    log.info("Build %s restates %s", candidate.id, describe_days(plan.restated_dates) or "no day of events")
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
                landed=plan.landed_records,
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
    for land in (land_events, land_extracts, land_market_data):
        land(window)
    candidate_id = prepare(allow_gap=allow_gap)
    if candidate_id is None:
        return None
    transform(candidate_id)
    audit(candidate_id)
    return publish(candidate_id)


def _land(stage: str, window: Window, read: Reader, judge: Judge) -> list[Outcome]:
    settings = load_settings()
    lake = Lake(settings.lake_dir)
    lake.sweep(rejected_days=settings.rejected_days_kept)
    _enter(stage)
    outcomes = [dataclasses.replace(one, rules=settings.landing_rules) for one in read(settings, lake, window)]
    staged = [outcome for outcome in outcomes if outcome.status == "staged"]
    ended = [outcome for outcome in outcomes if outcome.status != "staged"]
    failed = [outcome for outcome in ended if outcome.status == "failed"]
    report = None
    try:
        if staged:
            _enter(stage.replace("land", "audit"))
            report = judge(settings, lake, staged)
            records.keep_audit(settings, report)
        ended.extend(_accept_or_reject(lake, outcome, report) for outcome in staged)
    except gate.GateError as error:  # what could not be judged did not pass
        ended.extend(lake.reject(outcome, str(error), None) for outcome in staged)
        raise
    finally:
        records.keep_landings(settings, ended)
    _raise_for(settings, report, failed)
    return ended


def _stage_events(settings: Settings, lake: Lake, window: Window) -> list[Outcome]:
    outcomes = []
    for number, day in enumerate(window.days):
        started_at, clock = now(), time.monotonic()
        _enter("land events", done=number, total=len(window.days))
        try:
            outcome = stage_events(settings, lake, day)
        except LiftoffError as error:
            outcome = _failed(EVENTS, EVENTS, day, started_at, time.monotonic() - clock, error)
        _log_staged(outcome)
        outcomes.append(outcome)
    return outcomes


def _stage_extracts(settings: Settings, lake: Lake, window: Window) -> list[Outcome]:
    from ingestion.extracts import stage_extracts

    started_at, clock = now(), time.monotonic()
    try:
        outcomes = stage_extracts(settings, lake, window.days)
    except LiftoffError as error:  # the whole warehouse: nothing of any table was read
        seconds = time.monotonic() - clock
        outcomes = [
            _failed(table.source, table.name, day, started_at, seconds, error)
            for table in landed_tables()
            if table.source == WAREHOUSE
            for day in (window.days if table.is_daily else [window.end])
        ]
    else:
        for outcome in outcomes:
            _log_staged(outcome)
    return outcomes


def _stage_market_data(settings: Settings, lake: Lake, window: Window) -> list[Outcome]:
    from ingestion.api import stage_market_data

    outcomes = stage_market_data(settings, lake, window.end)
    for outcome in outcomes:
        _log_staged(outcome)
    return outcomes


def _failed(source: str, table: str, day: date, at: datetime, seconds: float, error: LiftoffError) -> Outcome:
    return Outcome("", source, table, day, "failed", at, seconds=seconds, reason=str(error))


def _log_staged(outcome: Outcome) -> None:
    name = f"{outcome.table} of {outcome.day}"
    if outcome.status == "staged":
        log.info(
            "Read %s: %s records, %s accepted, %s quarantined, %s repeated",
            *(name, outcome.read, outcome.accepted, outcome.quarantined, outcome.duplicates),
        )
    elif outcome.status == "unchanged":
        log.info("Nothing new in %s", name)
    elif outcome.status == "stale":
        log.warning("Nothing read of %s. %s", name, outcome.reason)
    else:
        log.error("%s could not be read: %s", name.capitalize(), outcome.reason)
    for warning in outcome.warnings:
        log.warning("%s: %s", name.capitalize(), warning)


def _audit_events(settings: Settings, lake: Lake, staged: Sequence[Outcome]) -> gate.Report:
    """One audit for all days. A day is compared with the last one before it that was accepted."""
    first = min(outcome.day for outcome in staged)
    earlier = [landed.day for landed in lake.accepted(EVENTS, EVENTS) if landed.day < first]
    baseline = (earlier[-1], lake.landing_dir(EVENTS, EVENTS, earlier[-1]) / "data.parquet") if earlier else None
    return gate.audit_events(settings, lake, staged, baseline)


def _audit_extracts(settings: Settings, lake: Lake, staged: Sequence[Outcome]) -> gate.Report:
    days = describe_days({outcome.day for outcome in staged})
    return gate.audit_tables(settings, lake, staged, f"Landing of warehouse extracts {days}")


def _audit_market_data(settings: Settings, lake: Lake, staged: Sequence[Outcome]) -> gate.Report:
    tables = ", ".join(sorted(outcome.table for outcome in staged))
    return gate.audit_tables(settings, lake, staged, f"Landing of {tables} {staged[0].day}")


def _accept_or_reject(lake: Lake, outcome: Outcome, report: gate.Report | None) -> Outcome:
    outcome = dataclasses.replace(outcome, gate_id=report.gate_id if report else "")
    if report and report.passed_on(outcome.table, outcome.day):
        return lake.accept(outcome)
    return lake.reject(outcome, report.sentence() if report else "not audited", report)


def _raise_for(settings: Settings, report: gate.Report | None, failed: Sequence[Outcome]) -> None:
    unread = [f"{days}: {reason}" for days, reason in _said_once(failed)]
    if report and not report.passed:
        lines = [
            report.text(),
            _what_readers_see(_warehouse(settings)),
            f"What was refused is kept for {settings.rejected_days_kept} days in {settings.lake_dir / 'rejected'}.",
            "Next: mend the source, then load the same days again. Single refused records: liftoff quarantine list",
            *unread,
        ]
        raise Blocked("\n".join(lines))
    if failed:
        raise LandingFailed("\n".join(unread))


def _said_once(failed: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """What could not be read, by reason: a warehouse that is down fails all tables and days for one."""
    for reason in dict.fromkeys(outcome.reason for outcome in failed):
        alike = [outcome for outcome in failed if outcome.reason == reason]
        tables = ", ".join(dict.fromkeys(outcome.table for outcome in alike))
        yield f"{tables} of {describe_days({outcome.day for outcome in alike})} could not be read".capitalize(), reason


def _what_readers_see(warehouse: Warehouse) -> str:
    try:
        release = warehouse.current()
    except NoRelease:
        return "Readers see nothing yet: no release was published."
    return f"Readers still see release {release.id}, which ends on {release.manifest.last_date}."


def _link_inputs(lake: Lake, candidate: Candidate, plan: BuildPlan) -> None:
    """Give the build the very files that its plan names: what lands later replaces the names, not these files."""
    for one in plan.landings_read:
        folder = candidate.inputs / one.source / one.table
        folder.mkdir(parents=True, exist_ok=True)
        landed = lake.landing_dir(one.source, one.table, one.day) / "data.parquet"
        (folder / f"{one.day}.parquet").hardlink_to(landed)


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
