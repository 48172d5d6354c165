"""The tracking plan: what clients send, what it means, and which metrics break without it.

What an event promises comes from its contracts. What breaks is derived from the models: liftoff/lineage.py follows each
field through their SQL into tables that readers see, and from there into the metrics of the semantic layer.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from contracts import EventContract, EventContracts, Field, load_event_contracts
from liftoff.dbt import compile_models
from liftoff.lineage import EVENT_NAME, Column, LineageError, Relation, Use, Uses, relation_of, uses_of
from quality.html import template
from storage.files import write_bytes
from storage.settings import Settings

LANDED = "events.events"
TIMES = ("occurred_at", "sent_at", "received_at")
"""The fields that ingestion makes `event_at` from."""
SORTS_BY_ALL = {"int_event__deduplicated"}
"""Models that sort copies of an event by every column, so that the same one always stays. It is no use of a field."""


@dataclass(frozen=True)
class Broken:
    """What cannot be known any more without a field, or an event."""

    metrics: tuple[str, ...]
    """Labels of the semantic layer."""
    tables: tuple[tuple[str, tuple[str, ...]], ...]
    """Tables with their columns; without any where all of it breaks, because its rows are found by what is missing."""

    def __bool__(self) -> bool:
        return bool(self.metrics or self.tables)


@dataclass(frozen=True)
class PlannedField:
    """A field over all versions of an event's contract."""

    field: Field
    """As its last version says."""
    since: EventContract
    until: EventContract | None
    """The last version that has it, when there are later ones without it."""
    broken: Broken


@dataclass(frozen=True)
class PlannedEvent:
    """An event, or the envelope, over all versions of its contract."""

    versions: tuple[EventContract, ...]
    fields: tuple[PlannedField, ...]
    broken: Broken

    @property
    def latest(self) -> EventContract:
        """The last version of its contract."""
        return self.versions[-1]

    @property
    def by_what_breaks(self) -> dict[Broken, list[str]]:
        """The names of its fields, those together without which the same breaks."""
        names: dict[Broken, list[str]] = {}
        for one in self.fields:
            names.setdefault(one.broken, []).append(one.field.name)
        return names


@dataclass(frozen=True)
class TrackingPlan:
    """All events, the envelope apart."""

    envelope: PlannedEvent
    events: tuple[PlannedEvent, ...]

    def markdown(self) -> str:
        """As docs/tracking-plan.md has it."""
        return _render("tracking_plan.md", self)

    def html(self) -> str:
        """As one page, with no script and nothing to fetch."""
        return _render("tracking_plan.html", self)


@dataclass(frozen=True)
class Readers:
    """The tables and metrics that readers see, and the uses of fields that each of them is made from."""

    tables: Mapping[str, Relation]
    metrics: Mapping[str, Uses]

    def without(self, field: str, events: Iterable[str]) -> Broken:
        """What breaks when these events come without a field."""
        missing = {(field, event) for event in events}

        def breaks(uses: Uses) -> bool:
            return any((use.field, use.event) in missing for use in uses)

        tables: list[tuple[str, tuple[str, ...]]] = []
        for name, table in self.tables.items():
            columns = tuple(column for column in table.columns if breaks(table.columns[column].uses))
            if breaks(table.rows):
                tables.append((name, ()))
            elif columns:
                tables.append((name, columns))
        return Broken(tuple(label for label, uses in self.metrics.items() if breaks(uses)), tuple(tables))


def write_tracking_plan(settings: Settings) -> Path:
    """Write the plan as a page: `docs/tracking-plan.html` in the data folder.

    Raises:
        ContractError, LiftoffError: as below.
    """
    page = settings.data_dir / "docs" / "tracking-plan.html"
    write_bytes(page, tracking_plan(settings).html().encode())
    return page


def tracking_plan(settings: Settings) -> TrackingPlan:
    """The plan of the contracts and models as they are now.

    Raises:
        ContractError: a contract cannot be used.
        LiftoffError: the models cannot be compiled, or one of them cannot be followed.
    """
    contracts = load_event_contracts()
    return plan_of(contracts, readers_of(compile_models(settings, {LANDED: [LANDED]}), contracts))


def plan_of(contracts: EventContracts, readers: Readers) -> TrackingPlan:
    """Put together what events promise, and what readers make of it."""
    names = sorted({name for name, _ in contracts.events})
    versions = {
        name: tuple(contract for (event, _), contract in sorted(contracts.events.items()) if event == name)
        for name in names
    }
    return TrackingPlan(
        envelope=PlannedEvent((contracts.common,), tuple(_fields((contracts.common,), readers, names)), Broken((), ())),
        events=tuple(
            PlannedEvent(of_one, tuple(_fields(of_one, readers, [name])), readers.without(EVENT_NAME, [name]))
            for name, of_one in versions.items()
        ),
    )


def _fields(versions: tuple[EventContract, ...], readers: Readers, events: list[str]) -> Iterator[PlannedField]:
    fields = {field.name: field for contract in versions for field in contract.properties}
    for name, field in fields.items():
        having = [contract for contract in versions if name in {one.name for one in contract.properties}]
        until = having[-1] if having[-1] != versions[-1] else None
        yield PlannedField(field, having[0], until, readers.without(name, events))


def readers_of(manifest: Mapping[str, Any], contracts: EventContracts) -> Readers:
    """Follow the fields of events through all models of dbt's manifest, and into its metrics.

    Raises:
        LineageError: names the model or metric that cannot be followed, or a model of `SORTS_BY_ALL` that is not there.
    """
    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    if gone := SORTS_BY_ALL - {node["name"] for node in models.values()}:
        raise LineageError(
            f"There is no model {', '.join(sorted(gone))}, which SORTS_BY_ALL in liftoff/tracking_plan.py names. Name "
            "the one there that sorts by every column now."
        )
    parents = {key: [one for one in node["depends_on"]["nodes"] if one in models] for key, node in models.items()}
    known = {LANDED: landed_events(contracts)}
    for key in TopologicalSorter(parents).static_order():
        name = models[key]["name"]
        try:
            known[name] = relation_of(models[key]["compiled_code"], known, ties_count=name not in SORTS_BY_ALL)
        except LineageError as error:
            raise LineageError(f"The model {name} cannot be followed. {error}") from error
    seen = sorted(node["name"] for node in models.values() if "marts" in node["fqn"])
    seen.sort(key=lambda name: not name.startswith("mart_"))
    return Readers({name: known[name] for name in seen}, dict(sorted(_metrics(manifest, known))))


def landed_events(contracts: EventContracts) -> Relation:
    """Landed events: each column is a field of those events whose contracts have it, `event_at` is made of three."""
    carriers: dict[str, set[str]] = defaultdict(set)
    for (event, _), contract in contracts.events.items():
        for field in (*contracts.envelope, *contract.properties):
            carriers[field.name].add(event)
    columns = {name: Column(frozenset(Use(name, event) for event in events), name) for name, events in carriers.items()}
    return Relation({**columns, "event_at": Column(frozenset().union(*(columns[name].uses for name in TIMES)))})


def _metrics(manifest: Mapping[str, Any], known: Mapping[str, Relation]) -> Iterator[tuple[str, Uses]]:
    """Each metric by its label, and what the measures are made from that it takes."""
    measures = {
        measure["name"]: (model, measure)
        for model in manifest["semantic_models"].values()
        for measure in model["measures"]
    }
    for metric in manifest["metrics"].values():
        taken = metric["type_params"]["input_measures"]
        if metric["filter"] or any(measure["filter"] for measure in taken):
            raise LineageError(
                f"The metric {metric['name']} has a filter, which liftoff/tracking_plan.py cannot follow."
            )
        yield metric["label"], frozenset().union(*(_measure(*measures[one["name"]], known) for one in taken))


def _measure(model: Mapping[str, Any], measure: Mapping[str, Any], known: Mapping[str, Relation]) -> Uses:
    relation = known[model["node_relation"]["alias"]]
    expressions = {dimension["name"]: dimension["expr"] for dimension in model["dimensions"]}
    time = measure["agg_time_dimension"] or model["defaults"]["agg_time_dimension"]
    return uses_of(measure["expr"] or measure["name"], relation) | uses_of(expressions[time] or time, relation)


def _render(name: str, plan: TrackingPlan) -> str:
    return template(Path(__file__).parent / "templates" / name, allowed=_allowed).render(plan=plan)


def _allowed(field: Field) -> str:
    """The values that a field may have, in words; empty when its type says it all."""
    if field.enum:
        return ", ".join(field.enum)
    bounds = {"at least": field.minimum, "at most": field.maximum}
    return ", ".join(f"{words} {bound:,}" for words, bound in bounds.items() if bound is not None)
