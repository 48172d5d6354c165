"""The tables that land in the lake, which of their landings a build is made from, and what is promised of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

from contracts import SQL_TYPES, load_event_contracts
from contracts.tables import SOURCE as WAREHOUSE
from contracts.tables import TableContract, load_table_contracts
from ingestion.endpoints import Endpoint, load_endpoints
from quality.profile.findings import Declared, DeclaredColumn
from storage.lake import Partition
from storage.settings import Settings

__all__ = ["EVENTS", "WAREHOUSE", "LandedTable", "declared_tables", "landed_tables", "rules_of"]

EVENTS = "events"


@dataclass(frozen=True)
class LandedTable:
    """One table of a source."""

    source: str
    name: str
    is_daily: bool
    """Each day has a landing of its own, and one without is a gap. Else each landing holds everything."""

    def __str__(self) -> str:
        return self.name if self.name == self.source else f"{self.source}.{self.name}"

    def inputs(self, landed: Iterable[Partition], last_date: date) -> list[Partition]:
        """Those of its landings that a build up to `last_date` is made from: of every day, or the last one."""
        ours = [partition for partition in landed if (partition.source, partition.table) == (self.source, self.name)]
        if self.is_daily:
            return ours
        return sorted((one for one in ours if one.day <= last_date), key=lambda one: one.day)[-1:]


@cache
def landed_tables() -> tuple[LandedTable, ...]:
    """Every table that a build needs: the events, the warehouse's as contracted, the services' as declared.

    Raises:
        ContractError, LiftoffError: a declaration cannot be used.
    """
    return (
        LandedTable(EVENTS, EVENTS, is_daily=True),
        *(LandedTable(WAREHOUSE, name, one.read == "changes") for name, one in load_table_contracts().items()),
        *(LandedTable(endpoint.service, endpoint.table, is_daily=False) for endpoint in load_endpoints()),
    )


def rules_of(source: str, settings: Settings) -> str:
    """The settings that decide which records of a source land, in words; of the upstream warehouse none does.

    A build mixes no landings of a source that were made under different ones.
    """
    if source == WAREHOUSE:
        return ""
    return settings.event_rules if source == EVENTS else settings.service_rules


@cache
def declared_tables() -> tuple[Declared, ...]:
    """The same tables, as contracts and endpoints describe them to who explores.

    Raises:
        ContractError, LiftoffError: a declaration cannot be used.
    """
    return (
        _declared_events(),
        *map(_declared_upstream, load_table_contracts().values()),
        *map(_declared_endpoint, load_endpoints()),
    )


def _declared_events() -> Declared:
    contracts = load_event_contracts()
    properties = {field.name: field for contract in contracts.events.values() for field in contract.properties}
    columns = {
        **{one.name: DeclaredColumn(SQL_TYPES[one.type], one.description, one.required) for one in contracts.envelope},
        **{one.name: DeclaredColumn(SQL_TYPES[one.type], one.description) for one in properties.values()},
        "event_at": DeclaredColumn("TIMESTAMP", "When it happened, by the collector's clock.", required=True),
    }
    return Declared(
        source=EVENTS,
        table=EVENTS,
        key=("event_id",),
        columns=columns,
        is_daily=True,
        description="What clients logged: the envelope, and the properties of all event contracts.",
        event_time="event_at",
        sent_time="sent_at",
        received_time="received_at",
        kind="event_name",
        split_by=("event_name", "platform"),
    )


def _declared_upstream(contract: TableContract) -> Declared:
    is_daily = contract.read == "changes"
    names = {one.name: one.landed_name for one in contract.columns}
    return Declared(
        source=WAREHOUSE,
        table=contract.table,
        key=tuple(names[name] for name in contract.key),
        columns={
            one.landed_name: DeclaredColumn(one.landed_type, one.description, not one.nullable, bool(one.personal))
            for one in contract.columns
        },
        is_daily=is_daily,
        description=contract.description,
        event_time="changed_at" if is_daily else "",
    )


def _declared_endpoint(endpoint: Endpoint) -> Declared:
    dates = [name for name in endpoint.key if endpoint.columns[name].type == "DATE"]
    return Declared(
        source=endpoint.service,
        table=endpoint.table,
        key=endpoint.key,
        columns={
            name: DeclaredColumn(one.type, f"{one.path} of the answer", not one.nullable)
            for name, one in endpoint.columns.items()
        },
        is_daily=False,
        description=f"What {endpoint.path} answered.",
        event_time=dates[0] if dates else "",
    )
