"""Running the dbt project on a candidate database: every node reported as it ends, no connection left behind."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.errors import LiftoffError
from storage.files import remove_older_than
from storage.settings import PROJECT_DIR, Settings

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
    return _invoke(["build", "--exclude-resource-type", "unit_test"], settings, database, scratch, variables, on_node)


def run_unit_tests(settings: Settings, database: Path, scratch: Path) -> list[NodeResult]:
    """Run the models' unit tests. They take their columns from the models in `database`, which may be empty.

    Raises:
        TransformFailed: names the rules that do not hold, with expected and actual rows.
    """
    return _invoke(["test", "--resource-type", "unit_test"], settings, database, scratch, {}, lambda _: None)


def models_digest() -> str:
    """Identify the state of the dbt project: 12 hex digits over everything that decides what a build makes."""
    digest = hashlib.sha256((DBT_PROJECT_DIR / "dbt_project.yml").read_bytes())
    for folder in ("macros", "models"):
        for path in sorted((DBT_PROJECT_DIR / folder).rglob("*.*")):
            digest.update(b"\0".join([b"", path.relative_to(DBT_PROJECT_DIR).as_posix().encode(), path.read_bytes()]))
    return digest.hexdigest()[:12]


def _invoke(
    command: list[str],
    settings: Settings,
    database: Path,
    scratch: Path,
    variables: Mapping[str, Any],
    on_node: Callable[[NodeResult], None],
) -> list[NodeResult]:
    from dbt.cli.main import dbtRunner  # takes 3 s, and most commands need none of it

    # A folder for each build: two of them may run at once. dbt's partial parsing would not help, since it starts over
    # whenever a var changes; parsing takes 0.8 s.
    work = settings.data_dir.absolute() / "dbt" / database.parent.name
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
        "--vars": json.dumps({**variables, **_connection_variables(settings, database, scratch)}),
    }
    flags = ["--no-partial-parse", "--no-write-json", "--no-use-colors", "--no-use-colors-file"]
    try:
        outcome = dbtRunner(callbacks=[report]).invoke(
            [*command, *flags, *(str(word) for option in options.items() for word in option)]
        )
    finally:
        _let_go_of_the_database()
    if not outcome.success:
        raise TransformFailed(_describe_failure(results, outcome.exception, work / "dbt.log"))
    return results


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
