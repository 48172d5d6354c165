"""The semantic layer of a release: metrics by name, cut by any dimension, as SQL that MetricFlow writes.

MetricFlow is used as a library. Its command reads `target/` inside the project, opens the database for writing through
dbt and asks a package registry for news of itself at each start; see docs/decisions/0023-semantic-layer.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any, ClassVar

import duckdb
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.engine.models import Dimension
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantic_interfaces.type_enums import DimensionType
from metricflow_semantics.errors.error_classes import InformativeUserError
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

from liftoff.looks import Rows, ask
from storage.errors import LiftoffError, WrongUsage
from storage.warehouse import Release, ReleaseDamaged

GRAINS = ("day", "week", "month", "quarter", "year")
HOW_TO_FILTER = """In it, a dimension is written so: "{{ Dimension('user_day__platform') }} = 'tv'"."""
NAMES_IN_FILTER = re.compile(r"(?:Dimension|Entity)\(\s*['\"](\w+)")


class _DuckDb:
    """What MetricFlow must know of the engine to write SQL for it. The SQL is run by us."""

    sql_engine_type: ClassVar[Any] = SqlEngine.DUCKDB
    sql_plan_renderer: ClassVar[Any] = DuckDbSqlPlanRenderer()


@dataclass(frozen=True)
class Question:
    """Which metrics, and how they are cut. Without an order, rows are in that of `group_by`."""

    metrics: Sequence[str]
    group_by: Sequence[str] = ()
    where: Sequence[str] = ()
    """Conditions in SQL, in which a dimension is written as `{{ Dimension('user_day__platform') }}`."""
    start: date | None = None
    end: date | None = None
    """The last day, included."""
    order: Sequence[str] = ()
    """Names of the above; a minus before one turns it round."""
    limit: int | None = None


class SemanticLayer:
    """The metrics that a release defines.

    Raises:
        LiftoffError: the release was made before there was a semantic layer.
        ReleaseDamaged: its semantic layer is not what was published any more.
    """

    def __init__(self, release: Release) -> None:
        if not release.manifest.semantic_manifest_sha256:
            raise LiftoffError(
                f"Release {release.id} was made before there was a semantic layer. The next build has one: liftoff run"
            )
        try:
            manifest = parse_manifest_from_dbt_generated_manifest(release.semantic_manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ReleaseDamaged(release.id) from error
        self._engine = MetricFlowEngine(SemanticManifestLookup(manifest), _DuckDb())

    def metrics(self) -> Rows:
        """What can be asked for, a row a metric: `name`, `label`, `group_by`, `description`, `owner`, `decision`."""
        return [
            {
                "name": metric.name,
                "label": metric.label,
                "group_by": self._dimensions([metric.name]),
                "description": metric.description.strip(),
                **metric.config.meta,
            }
            for metric in sorted(self._engine.list_metrics(include_dimensions=False), key=lambda metric: metric.name)
        ]

    def sql(self, question: Question) -> str:
        """The question in DuckDB's SQL.

        Raises:
            WrongUsage: a name is not known here, or the metrics cannot be asked for that way.
        """
        self._refuse_unknown_names(question)
        request = MetricFlowQueryRequest.create(
            metric_names=question.metrics,
            group_by_names=question.group_by,
            where_constraints=question.where or None,
            time_constraint_start=question.start and datetime.combine(question.start, time.min),
            time_constraint_end=question.end and datetime.combine(question.end, time.min),
            order_by_names=question.order or question.group_by,
            limit=question.limit,
        )
        try:
            return str(self._engine.explain(request).sql_statement.without_descriptions.sql)
        except InformativeUserError as error:
            raise WrongUsage(_reason(error)) from None

    def ask(self, connection: duckdb.DuckDBPyConnection, question: Question) -> Rows:
        """The answer of the release that `connection` has open, a dict a row.

        Raises:
            WrongUsage: as above, or a condition is no SQL.
        """
        try:
            rows = ask(connection, self.sql(question))
        except duckdb.ProgrammingError as error:
            raise WrongUsage(f"The condition cannot be used. {HOW_TO_FILTER}\n{error}") from None
        return [{name: _as_date(value) for name, value in row.items()} for row in rows]

    def _refuse_unknown_names(self, question: Question) -> None:
        metrics = [metric.name for metric in self._engine.list_metrics(include_dimensions=False)]
        for name in question.metrics:
            if name not in metrics:
                raise WrongUsage(f"There is no metric {name}{_meant(name, metrics)}: liftoff metrics list")
        dimensions = self._dimensions(question.metrics)
        known = {*dimensions, *(f"metric_time__{grain}" for grain in GRAINS)}
        for name in [*question.group_by, *NAMES_IN_FILTER.findall(" ".join(question.where))]:
            if name not in known:
                raise WrongUsage(
                    f"{' and '.join(question.metrics)} cannot be grouped or filtered by "
                    f"{name}{_meant(name, dimensions)}. What can be used: {', '.join(dimensions)}; and instead of "
                    f"metric_time, which is the day, {', '.join(f'metric_time__{grain}' for grain in GRAINS[1:])}."
                )
        for name in question.order:
            if name.removeprefix("-") not in {*question.metrics, *question.group_by}:
                raise WrongUsage(f"The answer holds no {name.removeprefix('-')} by which it could be ordered.")

    def _dimensions(self, metrics: Sequence[str]) -> list[str]:
        """By what all of these metrics can be cut. Of times metric_time alone: it is the time of each metric."""
        found = self._engine.list_group_bys(list(metrics))
        times = [one for one in found if isinstance(one, Dimension) and one.type is DimensionType.TIME]
        others = [one.dunder_name if isinstance(one, Dimension) else one.name for one in found if one not in times]
        return ["metric_time", *sorted(others)]


def _reason(error: Exception) -> str:
    """The sentence in MetricFlow's report."""
    found = re.search(r"Message:\s+(.+?)(?:\n\s*\n|$)", str(error), re.DOTALL)
    reason = " ".join((found.group(1) if found else str(error)).split())
    return f"The condition cannot be read. {HOW_TO_FILTER}" if "parsing where filter" in reason else reason


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1) or [one for one in known if one.endswith(f"__{name}")][:1]
    return f" (did you mean {close[0]}?)" if close else ""


def _as_date(value: Any) -> Any:
    """MetricFlow truncates days to timestamps. No time here is finer than a day."""
    return value.date() if isinstance(value, datetime) else value
