"""The gate's reports as pages for people: each a whole document, with no script and nothing to fetch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Template
from pydantic import TypeAdapter, ValidationError

from quality.history import HEIGHT, RUNS, WIDTH, History, chart, number, read_history
from quality.html import TEMPLATES, template
from quality.report import SAID, CheckResult, Report
from storage.days import describe_days
from storage.settings import Settings
from storage.warehouse import NoRelease, Warehouse

HERE = Path(__file__).parent
REPORT = TypeAdapter(Report)
LISTED = 30
"""How many audits a page leads to."""


@dataclass(frozen=True)
class Unreadable:
    """An audit whose report cannot be read by this version of the code."""

    gate_id: str


Audit = Report | Unreadable


def latest_page(settings: Settings) -> str:
    """The page of the report to see first, or one that says how to make the first."""
    gate_id = first_to_see(settings.lake_dir)
    page = page_of(settings, gate_id) if gate_id else None
    return page or render_notice(
        "Nothing was audited yet",
        "Trigger the DAG load_window with its form left empty: it loads every day from launch to yesterday. "
        "The gate audits them before anyone can read them, and what it finds will be shown here.",
    )


def first_to_see(lake_dir: Path) -> str | None:
    """The newest audit that blocked since the last build, unless it was made again since; else the newest one.

    Sources land side by side: the one that was refused is often not the last one to be audited.
    """
    reports = _reports(lake_dir)
    made_again: set[str] = set()
    for gate_id, path in reports.items():
        audit = _read(path)
        if isinstance(audit, Report):
            if not audit.passed and audit.subject not in made_again:
                return gate_id
            if not _is_landing(audit):
                break
            made_again.add(audit.subject)
    return next(iter(reports), None)


def page_of(settings: Settings, gate_id: str) -> str | None:
    """The page of one report, or None when none has that id. The id is looked up: no path is made from it."""
    reports = _reports(settings.lake_dir)
    if gate_id not in reports:
        return None
    report = _read(reports[gate_id])
    audits = [_read(path) for path in list(reports.values())[:LISTED]]
    history = read_history(settings.lake_dir, report) if isinstance(report, Report) else {}
    return render(report, audits, history=history, standing=_standing(settings, gate_id))


def _standing(settings: Settings, gate_id: str) -> str:
    """Which release this audit let readers see, in a sentence; empty when none that is kept."""
    warehouse = Warehouse(settings.warehouse_dir, releases_kept=settings.releases_kept)
    release = next((one for one in warehouse.releases() if one.gate_id == gate_id), None)
    if release is None:
        return ""
    with suppress(NoRelease):
        if release == warehouse.current():
            return f"Readers see it: release {release.id}"
    return f"Was published: release {release.id}"


def render(report: Audit, audits: Sequence[Audit] = (), *, history: History | None = None, standing: str = "") -> str:
    """A report as a page.

    Args:
        report: what the page shows.
        audits: what it leads to, newest first; without any, the page is complete in itself.
        history: what its checks measured before.
        standing: what became of what was audited.
    """
    results = report.results if isinstance(report, Report) else ()
    charts = {(one.table, one.name): chart(one, (history or {}).get((one.table, one.name), ())) for one in results}
    size = {"width": WIDTH, "height": HEIGHT, "runs": RUNS}
    return _template().render(report=report, audits=audits, charts=charts, standing=standing, **size)


def render_notice(title: str, text: str) -> str:
    """A page without a report: what is the matter, and what to do."""
    return _template().render(report=None, audits=(), title=title, text=text)


def _reports(lake_dir: Path) -> dict[str, Path]:
    """Every report that is kept, by its id, newest first: ids sort by time."""
    return {path.stem: path for path in sorted((lake_dir / "reports").glob("*.json"), reverse=True)}


def _read(path: Path) -> Audit:
    try:
        return REPORT.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Unreadable(path.stem)


@cache
def _template() -> Template:
    return template(
        TEMPLATES / "gate_report.html",
        contract=_contract,
        days=describe_days,
        is_landing=_is_landing,
        moment=_moment,
        number=number,
        sample_columns=_sample_columns,
        verdict=_verdict,
    )


def _verdict(audit: Audit) -> str:
    if isinstance(audit, Unreadable):
        return "unreadable"
    if not audit.passed:
        return "blocked"
    return "warned" if audit.warnings else "passed"


def _contract(table: str) -> str:
    """Where the rules of a table are written: `quality/contracts/raw/events.yml`; empty when nowhere."""
    folders = (HERE / "contracts", HERE.parent / "contracts")
    paths = [path for folder in folders for path in folder.glob("*/*.yml") if path.stem == table]
    return str(paths[0].relative_to(HERE.parent)) if paths else ""


def _is_landing(report: Report) -> bool:
    contracts = {_contract(result.table) for result in report.results}
    return any(path and not path.startswith("quality/contracts/marts/") for path in contracts)


def _sample_columns(result: CheckResult) -> list[str]:
    """The columns worth a table: the message already tells the day and the problem of up to three rows."""
    columns = list(dict.fromkeys(name for row in result.samples for name in row))
    if len(result.samples) > 3:
        return columns
    return [name for name in columns if name != "problem"] if set(columns) - SAID else []


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
