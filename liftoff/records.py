"""A row for every attempt: what landed, what the gate found, and how each build ended."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from liftoff import __version__
from liftoff.plan import BuildPlan
from quality import page
from quality.history import read_history
from quality.report import Report
from storage import meta
from storage.days import now
from storage.errors import Blocked, LiftoffError
from storage.files import write_bytes, write_json
from storage.lake import Outcome
from storage.settings import PROJECT_DIR, Settings
from storage.warehouse import Begun, Candidate

CODE = ("contracts", "dbt_project", "ingestion", "liftoff", "quality", "storage")


def keep_landings(settings: Settings, outcomes: Sequence[Outcome]) -> None:
    """Keep how each day of a window ended."""
    meta.record(settings.lake_dir, "ingest", sorted(outcomes, key=lambda outcome: outcome.day))


def keep_replay(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep which refused records were tried again."""
    meta.record(settings.lake_dir, "replay", rows)


def keep_audit(settings: Settings, report: Report) -> str:
    """Keep what an audit found: the whole report, its page, and a row for each check. Returns the page."""
    kept = settings.lake_dir / "reports" / f"{report.gate_id}.json"
    write_json(kept, report)
    names = ("gate_id", "subject", "judged_days")
    audit = {name: getattr(report, name) for name in names} | {"checked_at": report.started_at}
    meta.record(settings.lake_dir, "check_result", [audit | dataclasses.asdict(result) for result in report.results])
    html = page.render(report, history=read_history(settings.lake_dir, report))
    write_bytes(kept.with_suffix(".html"), html.encode())
    return html


@contextmanager
def recorded(settings: Settings, candidate: Candidate, plan: BuildPlan) -> Iterator[None]:
    """Leave a row for a build that stops here."""
    begun = candidate.begun  # read now: the folder may be gone when the row is written
    try:
        yield
    except LiftoffError as error:
        keep_build(settings, begun, plan, error=error)
        raise


def keep_build(settings: Settings, begun: Begun, plan: BuildPlan | None, *, error: LiftoffError | None = None) -> None:
    """Keep how a build ended: published, or stopped by `error`."""
    stopped = "blocked" if isinstance(error, Blocked) else "failed"
    row = {
        "build_id": begun.id,
        "parent": begun.parent,
        "status": stopped if error else "published",
        "started_at": begun.at,
        "seconds": (now() - begun.at).total_seconds(),
        "reason": str(error or ""),
    }
    if plan:
        row |= {name: getattr(plan, name) for name in ("last_date", "restated_dates", "gap_dates", "is_full")}
    meta.record(settings.lake_dir, "build", [row])


def code_version() -> str:
    """The package's version, and 12 hex digits over all code, models and contracts that make a release."""
    digest = hashlib.sha256()
    for folder in CODE:
        for path in sorted((PROJECT_DIR / folder).rglob("*")):
            if path.suffix in {".py", ".sql", ".yml"}:
                digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"
