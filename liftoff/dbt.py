"""Running the dbt project on a candidate database: every node reported as it ends, no connection left behind."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from storage.errors import LiftoffError
from storage.files import remove_older_than, replace, write_bytes
from storage.settings import PROJECT_DIR, Settings
from storage.warehouse import DATABASE, Release, ReleaseDamaged

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"


class TransformFailed(LiftoffError):
    """A model could not be built, or a test of one failed. The candidate must not become a release."""


@dataclass(frozen=True)
class NodeResult:
    """How one model or test ended."""

    name: str
    kind: str
    """model, test or unit_test."""
    status: str
    """success, pass, warn, fail, error or skipped."""
    seconds: float
    message: str


def build_models(
    settings: Settings,
    database: Path,
    scratch: Path,
    variables: Mapping[str, Any],
    on_node: Callable[[NodeResult], None] = lambda _: None,
) -> list[NodeResult]:
    """Build all models in `database` and run their data tests, each as soon as its models stand.

    Args:
        settings: limits of DuckDB, and where logs and compiled SQL go: `dbt/<name of the candidate's folder>`.
        database: the candidate; made when it is not there.
        scratch: holds staging and intermediate models, for this build alone.
        variables: what the build is about, see `vars` in dbt_project.yml.
        on_node: called with each model or test as it ends.

    Returns:
        The result of each model and test, in the order in which they ended.

    Raises:
        TransformFailed: names what failed, why, and the log.
    """
    return _invoke(
        ["build", "--resource-type", "model", "--resource-type", "test"],
        settings,
        database,
        scratch,
        variables,
        on_node,
    )


def run_unit_tests(settings: Settings, database: Path, scratch: Path) -> list[NodeResult]:
    """Run the models' unit tests. They take their columns from the models in `database`, which may be empty.

    Raises:
        TransformFailed: names the rules that do not hold, with expected and actual rows.
    """
    command = ["test", "--resource-type", "unit_test", "--no-write-json"]
    return _invoke(command, settings, database, scratch, {})


def write_docs(settings: Settings, release: Release) -> Path:
    """Document the project in one page, which needs no network, with the columns that `release` has.

    dbt opens what it describes for writing, so it gets a copy.

    Returns:
        The page: `docs/index.html` in the data folder.

    Raises:
        LiftoffError: the project cannot be compiled; names the log.
        ReleaseDamaged: it cannot, because the release is not what was published any more.
    """
    work = settings.data_dir.absolute() / "dbt" / "docs"
    work.mkdir(parents=True, exist_ok=True)
    database, scratch = work / DATABASE, work / "scratch.duckdb"
    variables = {
        "launch_date": str(release.manifest.launch_date),
        "last_date": str(release.manifest.last_date),
        "gap_dates": [str(day) for day in release.manifest.gap_dates],
        "active_definition": settings.active_definition,
        "late_arrival_days": settings.late_arrival_days,
    }
    try:
        shutil.copyfile(release.database, database)
        _invoke(["docs", "generate", "--static"], settings, database, scratch, variables)
    except (FileNotFoundError, TransformFailed):
        if not release.is_intact():
            raise ReleaseDamaged(release.id) from None
        raise LiftoffError(f"The documentation could not be written. Next: {work / 'dbt.log'} tells why.") from None
    finally:
        database.unlink(missing_ok=True)
        scratch.unlink(missing_ok=True)
    page = (work / "static_index.html").read_text(encoding="utf-8")
    target = settings.data_dir / "docs" / "index.html"
    write_bytes(target, page.replace(f"{work}/", "").encode())  # it may be published: without folders of this machine
    return target


def compile_models(settings: Settings, landing_files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """dbt's manifest of the project, with the SQL of each model. Nothing is read: no landing, no release.

    Args:
        settings: where dbt works: `dbt/compiled` in the data folder.
        landing_files: the files that staging reads, by source and table; they need not be there.

    Raises:
        LiftoffError: the project cannot be compiled; names the log.
    """
    work = settings.data_dir.absolute() / "dbt" / "compiled"
    database, scratch = work / DATABASE, work / "scratch.duckdb"
    some_day = str(settings.launch_date)  # a condition on no day at all would be compiled to `false`
    variables = {
        **{name: [some_day] for name in ("read_dates", "restated_dates", "gap_dates")},
        **dict.fromkeys(("launch_date", "last_date"), some_day),
        "landing_files": landing_files,
    }
    try:
        _invoke(["compile"], settings, database, scratch, variables)
    except TransformFailed:
        raise LiftoffError(f"The models could not be compiled. Next: {work / 'dbt.log'} tells why.") from None
    finally:
        database.unlink(missing_ok=True)
        scratch.unlink(missing_ok=True)
    manifest: dict[str, Any] = json.loads((work / "manifest.json").read_bytes())
    return manifest


def artifacts(settings: Settings, database: Path) -> Path:
    """Where dbt leaves what it makes and says about `database`: `dbt/<name of its folder>`."""
    return settings.data_dir.absolute() / "dbt" / database.parent.name


def models_digest() -> str:
    """Identify the state of the dbt project: 12 hex digits over everything that decides what a build makes."""
    return _digest("macros", "models")


def _digest(*folders: str) -> str:
    digest = hashlib.sha256((DBT_PROJECT_DIR / "dbt_project.yml").read_bytes())
    for folder in folders:
        for path in sorted((DBT_PROJECT_DIR / folder).rglob("*.*")):
            digest.update(b"\0".join([b"", path.relative_to(DBT_PROJECT_DIR).as_posix().encode(), path.read_bytes()]))
    return digest.hexdigest()[:12]


def _invoke(
    command: list[str],
    settings: Settings,
    database: Path,
    scratch: Path,
    variables: Mapping[str, Any],
    on_node: Callable[[NodeResult], None] = lambda _: None,
) -> list[NodeResult]:
    from dbt.cli.main import dbtRunner  # takes 2 s, and most commands need none of it

    # A folder for each build: two of them may run at once.
    work = artifacts(settings, database)
    work.mkdir(parents=True, exist_ok=True)
    remove_older_than(work.parent, days=settings.rejected_days_kept)
    results: list[NodeResult] = []

    def report(event: Any) -> None:
        if event.info.name == "NodeFinished":
            results.append(_read_result(event.data))
            on_node(results[-1])

    options = {
        "--project-dir": DBT_PROJECT_DIR,
        "--profiles-dir": DBT_PROJECT_DIR,
        "--target-path": work,
        "--log-path": work,
        "--log-level": "none",
        "--log-level-file": "info",
    }
    flags = ["--no-use-colors", "--no-use-colors-file", *(str(word) for option in options.items() for word in option)]
    variables = {**variables, **_connection_variables(settings, database, scratch)}
    parsed = _parsed_project(settings)
    try:
        reuse = ["--partial-parse-file-path", str(parsed)] if parsed.exists() else []
        outcome = dbtRunner().invoke(["parse", "--no-write-json", *flags, *reuse])
        if (fresh := work / "partial_parse.msgpack").exists():
            replace(fresh, parsed)
        if outcome.success:
            runner = dbtRunner(outcome.result, [report])
            outcome = runner.invoke([*command, *flags, "--vars", json.dumps(variables)])
    finally:
        _let_go_of_the_database()
    if not outcome.success:
        raise TransformFailed(_describe_failure(results, outcome.exception, work / "dbt.log"))
    return results


def _parsed_project(settings: Settings) -> Path:
    """Where dbt keeps what it parsed: a file for each state of project and adapter, so that it never parses a part.

    Parsing takes 2 s, reading it back 0.1 s. dbt would start over whenever a var differs, so it parses without those
    of the build: no name, no reference and no config depends on them, and a test holds that.
    """
    state = f"{_digest('macros', 'models', 'tests')}-{version('dbt-duckdb')}"
    return settings.data_dir.absolute() / "dbt" / f"parsed-{state}.msgpack"


def _connection_variables(settings: Settings, database: Path, scratch: Path) -> dict[str, Any]:
    """What profiles.yml asks for."""
    return {
        "database": str(database.absolute()),
        "scratch": str(scratch.absolute()),
        "duckdb_memory_limit": settings.duckdb_memory_limit,
        "duckdb_threads": settings.duckdb_threads,
        "duckdb_temp_directory": str(settings.data_dir.absolute() / "tmp"),
    }


def _read_result(finished: Any) -> NodeResult:
    return NodeResult(
        name=finished.node_info.node_name,
        kind=finished.node_info.resource_type,
        status=finished.run_result.status,
        seconds=finished.run_result.execution_time,
        message=finished.run_result.message,
    )


def _let_go_of_the_database() -> None:
    """Close what the adapter keeps open for the next run of the same process: the file is about to be moved."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    if environment := DuckDBConnectionManager._ENV:
        environment.close()
        DuckDBConnectionManager.close_all_connections()


def _describe_failure(results: list[NodeResult], exception: BaseException | None, log: Path) -> str:
    failed = [result for result in results if result.status not in {"success", "pass", "warn", "skipped"}]
    skipped = sum(result.status == "skipped" for result in results)
    if failed:
        first = f"The transformation failed: {len(failed)} of {len(results)} models and tests, {skipped} were skipped."
        reasons = [f"  {result.kind} {result.name}: {result.message.strip()}" for result in failed]
    else:
        first, reasons = "The transformation could not start:", [f"  {exception}"]
    return "\n".join(
        [
            first,
            *reasons,
            "Readers are not affected: the candidate will not be published.",
            f"Next: {log} tells what ran; the SQL of each model and test lies beside it.",
        ]
    )
