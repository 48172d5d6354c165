"""The event contracts in SQL: how a line's JSON becomes a typed row, and why a row is refused."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from contracts import SKEW_SECONDS, SQL_TYPES, EventContracts, Field, FieldType
from ingestion.landing import Check, Reason, first_detail, first_reason
from storage import engine
from storage.settings import Settings

# The reader takes timestamps as text: what it cannot cast would end the whole read.
_JSON_TYPES = {**SQL_TYPES, "timestamp": "VARCHAR"}


def json_columns(contracts: EventContracts) -> dict[str, str]:
    """The reader's column types by name: the envelope, and `properties` as a struct of all contracts' properties."""
    properties = ", ".join(f"{engine.name(name)} {_JSON_TYPES[kind]}" for name, kind in contracts.properties.items())
    return {field.name: _JSON_TYPES[field.type] for field in contracts.envelope} | {
        "properties": f"STRUCT({properties})"
    }


def typed_events(contracts: EventContracts, lines: str, *extra: str) -> str:
    """A query of what lands, `_contract` (its number, or NULL) and `extra` columns over a relation of `lines`."""
    columns = [
        f"{_value(path, kind)} as {path.rpartition('.')[2]}"
        for path, kind in (
            *((engine.name(field.name), field.type) for field in contracts.envelope),
            *((f"properties.{engine.name(name)}", kind) for name, kind in contracts.properties.items()),
        )
    ]
    numbers = " ".join(
        f"when event_name = {engine.text(name)} and schema_version = {version} then {number}"
        for number, (name, version) in enumerate(contracts.events)
    )
    return f"""
        select
            *,
            -- A client whose clock is off is corrected by what the collector's clock shows.
            case
                when abs(epoch_us(received_at) - epoch_us(sent_at)) > {SKEW_SECONDS} * 1_000_000
                then occurred_at + to_microseconds(epoch_us(received_at) - epoch_us(sent_at))
                else occurred_at
            end as event_at,
            (case {numbers} end)::utinyint as _contract
        from (select {", ".join([*columns, *extra])} from {lines})
    """


def _value(path: str, kind: FieldType) -> str:
    if kind == "string":
        return f"nullif({path}, '')"  # an empty text is no value: what is nobody's user_id would be somebody's
    if kind != "timestamp":
        return path
    # TIMESTAMPTZ honours offsets, which TIMESTAMP drops; a cast from the one to the other would cost more than both
    # functions. RFC 3339 allows a lower-case t and z, the cast from text does not.
    text_casts = f"coalesce(try_cast({path} as timestamptz), try_cast(upper({path}) as timestamptz))"
    return f"make_timestamp(epoch_us({text_casts}))"


def is_refused(contracts: EventContracts, settings: Settings) -> str:
    """An expression over `typed_events`: true where `refusal` gives a reason, at 0.6 of its cost."""
    expressions = _combined(contracts, settings, lambda checks: " or ".join(f"({check[1]})" for check in checks))
    return " or ".join(expressions)


def refusal(contracts: EventContracts, settings: Settings) -> str:
    """An expression over `typed_events`: the reason why a row is refused, NULL where it is accepted."""
    return f"coalesce({', '.join(_combined(contracts, settings, first_reason))})"


def refusal_detail(contracts: EventContracts, settings: Settings) -> str:
    """The same in words for people."""
    return f"coalesce({', '.join(_combined(contracts, settings, first_detail))})"


def _combined(contracts: EventContracts, settings: Settings, expression: Callable[[Sequence[Check]], str]) -> list[str]:
    """One expression for each group of checks, in order. A row's properties meet its own contract's checks only."""
    by_contract = " ".join(
        f"when {number} then {expression(checks)}"
        for number, contract in enumerate(contracts.events.values())
        if (checks := [*_field_checks(contract.properties)])
    )
    return [
        expression([*_event_checks(contracts)]),
        expression([*_field_checks(contracts.envelope)]),
        f"case _contract {by_contract} end",
        expression([*_time_checks(settings)]),
    ]


def _event_checks(contracts: EventContracts) -> Iterator[Check]:
    events = ", ".join(sorted({engine.text(name) for name, _ in contracts.events}))
    yield Reason.UNKNOWN_EVENT, f"event_name not in ({events})", "'no contract names the event ' || event_name[:60]"
    yield Reason.UNKNOWN_VERSION, "_contract is null", "event_name || ' has no version ' || schema_version"


def _field_checks(fields: Iterable[Field]) -> Iterator[Check]:
    for field in fields:
        column = engine.name(field.name)
        if field.required:
            yield Reason.MISSING_FIELD, f"{column} is null", f"'{field.name} is missing'"
        if field.enum:
            allowed = ", ".join(engine.text(value) for value in field.enum)
            words = engine.text(f", not one of {', '.join(field.enum)}")
            detail = f"'{field.name} is ' || {column}[:60] || {words}"
            yield Reason.NOT_IN_ENUM, f"{column} not in ({allowed})", detail
        for bound, beyond, words in ((field.minimum, "<", "least"), (field.maximum, ">", "most")):
            if bound is not None:
                detail = f"'{field.name} is ' || {column} || ', at {words} {bound} is allowed'"
                yield Reason.OUT_OF_RANGE, f"{column} {beyond} {bound}", detail


def _time_checks(settings: Settings) -> Iterator[Check]:
    yield (
        Reason.FUTURE,
        "event_at > received_at + interval 1 hour",
        "'dated ' || event_at || ', more than an hour after it was received'",
    )
    yield (
        Reason.BEFORE_LAUNCH,
        f"event_at < timestamp '{settings.launch_date}'",
        f"'dated ' || event_at || ', before the launch on {settings.launch_date}'",
    )
    yield (
        Reason.TOO_LATE,
        f"received_at::date - event_at::date > {settings.late_arrival_days}",
        "'received ' || (received_at::date - event_at::date) || ' days after its event day'",
    )
