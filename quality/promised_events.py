"""What the event contracts promise of landed events: the columns and checks that follow from them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import duckdb

from contracts import EVENT_AT, SQL_TYPES, EventContracts, Field
from storage import engine

RULES = {
    "contract_known": "Each event has a contract of its name and version",
    "required_fields": "Fields that a contract requires are filled",
    "values_known": "Fields hold a value that their contract lists",
    "values_in_range": "Numbers lie within the bounds of their contract",
}
"""What is checked, a check each; `broken_promise` tells them apart by their names."""


Promise: TypeAlias = tuple[str, str]
"""When it is broken, and what is to be said then: both in SQL, over an event."""


def promised_columns(contracts: EventContracts) -> list[dict[str, str]]:
    """The columns of landed events, as a Soda contract lists them."""
    return [{"name": name, "data_type": SQL_TYPES[kind]} for name, kind in contracts.landed.items()]


def promised_checks() -> Iterator[dict[str, Any]]:
    """A check for each of `RULES`: what `broken_promise` holds of it, a row a day, contract and field."""
    for qualifier, rule in RULES.items():
        query = f"""
            select
                dt,
                coalesce(event_name, 'no name') || ' ' || coalesce(schema_version::varchar, 'no version')
                || ': ' || complaint
                || format(' in {{:,}} event{{}}', count(*), if(count(*) = 1, '', 's'))
                || coalesce(', for example ' || min(value), '') as problem,
                min(event_id) as event_id
            from broken_promise
            where rule = {engine.text(qualifier)}
            group by dt, event_name, schema_version, complaint
        """
        yield {"failed_rows": {"name": rule, "qualifier": qualifier, "query": query}}


def compare_with_promises(connection: duckdb.DuckDBPyConnection, contracts: EventContracts) -> None:
    """Make `broken_promise` from `events`: a row for each field of an event that breaks its contract.

    Reads the events once, however many fields and rules there are: 0.1 CPU seconds for 500,000 events. A column that
    did not land as promised is compared as if it were empty; that it is another one, the check of the schema says.

    Raises:
        duckdb.Error: a data file cannot be read.
    """
    landed = dict(
        connection.execute("select column_name, data_type from duckdb_columns() where table_name = 'events'").fetchall()
    )
    columns = ", ".join(
        engine.name(name) if landed.get(name) == SQL_TYPES[kind] else f"null::{SQL_TYPES[kind]} as {engine.name(name)}"
        for name, kind in contracts.landed.items()
    )
    of_all = [*_promises([*contracts.envelope, EVENT_AT])]
    of_one = {
        f"event_name = {engine.text(event)} and schema_version = {version}": [*_promises(contract.properties)]
        for (event, version), contract in contracts.events.items()
    }
    unknown = [_promise("contract_known", "true", "no contract has this name and version")]
    connection.execute(f"""
        create table broken_promise as
        with broken as (
            select
                *,
                unnest({_complaints(of_all)} || {_by_contract(_complaints, of_one, unknown)}) as promise
            from (select dt, {columns} from events)
            where {_is_broken(of_all)} or {_by_contract(_is_broken, of_one, unknown)}
        )
        select dt, event_name, schema_version, event_id, unnest(promise) from broken where promise is not null
    """)


def _promises(fields: Iterable[Field]) -> Iterator[Promise]:
    for field in fields:
        name = engine.name(field.name)
        if field.required:
            yield _promise("required_fields", f"{name} is null", f"{field.name} is missing")
        if field.enum:
            allowed = ", ".join(engine.text(value) for value in field.enum)
            complaint = f"{field.name} is not one of {', '.join(field.enum)}"
            yield _promise("values_known", f"{name} not in ({allowed})", complaint, name)
        bounds = {"least": (field.minimum, "<"), "most": (field.maximum, ">")}
        for words, (bound, beyond) in bounds.items():
            if bound is not None:
                complaint = f"{field.name} is not at {words} {bound:g}"
                yield _promise("values_in_range", f"{name} {beyond} {bound}", complaint, f"{name}::varchar")


def _promise(rule: str, broken: str, complaint: str, value: str = "null::varchar") -> Promise:
    return broken, f"{{rule: {engine.text(rule)}, complaint: {engine.text(complaint)}, value: {value}}}"


def _by_contract(
    expression: Callable[[Sequence[Promise]], str], of_one: Mapping[str, Sequence[Promise]], unknown: Sequence[Promise]
) -> str:
    cases = " ".join(f"when {condition} then {expression(promises)}" for condition, promises in of_one.items())
    return f"case {cases} else {expression(unknown)} end"


def _is_broken(promises: Sequence[Promise]) -> str:
    return f"({' or '.join(broken for broken, _ in promises) or 'false'})"


def _complaints(promises: Sequence[Promise]) -> str:
    complaints = ", ".join(f"if({broken}, {complaint}, null)" for broken, complaint in promises)
    return f"[{complaints}]::struct(rule varchar, complaint varchar, value varchar)[]"
