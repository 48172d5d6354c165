"""What contracts and endpoints promise of each table that lands, for who explores."""

from functools import cache

from contracts import EVENT_AT, SQL_TYPES, load_event_contracts
from contracts.tables import TableContract, load_table_contracts
from ingestion.endpoints import Endpoint, load_endpoints
from liftoff.sources import EVENTS, WAREHOUSE
from quality.profile.declared import Declared, DeclaredColumn


@cache
def declared_tables() -> tuple[Declared, ...]:
    """Every table that lands, as its contract or endpoint describes it.

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
        **{one.name: DeclaredColumn(SQL_TYPES[one.type], one.description) for one in properties.values()},
        **{
            one.name: DeclaredColumn(SQL_TYPES[one.type], one.description, one.required)
            for one in (*contracts.envelope, EVENT_AT)
        },
    }
    return Declared(
        source=EVENTS,
        table=EVENTS,
        key=("event_id",),
        columns=columns,
        is_daily=True,
        description="What clients logged: the envelope, and the properties of all event contracts.",
        event_time=EVENT_AT.name,
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
