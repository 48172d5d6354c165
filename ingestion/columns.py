"""The contracts of the upstream tables in SQL: what is asked for, what of it is kept, and why a row is refused."""

import hashlib
from collections.abc import Iterator, Mapping

import duckdb

from contracts.tables import Column, TableContract
from ingestion.landing import Check, Reason, SourceError, first_detail, first_reason
from ingestion.upstream import SCHEMA
from storage.engine import text

# What DuckDB and PostgreSQL call a type. No other one is taken for it: a change of type is for its owner to announce.
_SPELLINGS = {
    "bigint": {"bigint"},
    "varchar": {"varchar", "text", "character varying"},
    "boolean": {"boolean"},
    "date": {"date"},
    "timestamp": {"timestamp", "timestamp without time zone"},
    "decimal(18,4)": {"decimal", "numeric"},
}
# PostgreSQL's driver adds an epoch to infinite moments, which then look like moments long ago.
_BEYOND = "'10000-01-01'"


class ContractBroken(SourceError):
    """An upstream table does not have the columns that its contract promises. The others land."""


def compare(contract: TableContract, found: Mapping[str, str], warehouse: str) -> tuple[str, ...]:
    """Compare a table with its contract: columns that nobody promised are warned of.

    Raises:
        ContractBroken: it is missing, or a column is, or has another type.
    """
    table = f"{SCHEMA}.{contract.table}"
    promised = {column.name: column.type for column in contract.columns}
    missing = [name for name in promised if name not in found]
    retyped = [
        f"{name} is {found[name]}, not {kind}"
        for name, kind in promised.items()
        if name in found and found[name].partition("(")[0] not in _SPELLINGS[kind]
    ]
    unknown = sorted(found.keys() - promised.keys())
    faults = [*([f"it has no column {', '.join(missing)}"] if missing else []), *retyped]
    if not found:
        faults = ["it is not there, or this user may not read it"]
    if faults:
        renamed = f" It does have {', '.join(unknown)}, which no contract names." if unknown and missing else ""
        raise ContractBroken(
            f"{warehouse}: table {table} breaks its contract: {'; '.join(faults)}.{renamed} Ask its owner "
            f"({contract.owner}) to restore it, or change contracts/tables/{contract.table}.yml."
        )
    return tuple(f"unknown column {name} in {table}: it does not land" for name in unknown)


def is_beyond(value: str, kind: str) -> str:
    """Whether a date or timestamp is infinite, or in no year from 1 to 9999."""
    return f"({value} >= {kind} {_BEYOND} or {value} < {kind} '0001-01-01')"


def sent(contract: TableContract) -> str:
    """What is asked of the warehouse."""
    return ", ".join(map(_sent, contract.columns))


def _sent(column: Column) -> str:
    """SQL that both databases understand, and whose result ADBC carries unchanged: decimals as their digits."""
    name = f'"{column.name}"'
    if column.type == "decimal(18,4)":
        return f"cast({name} as varchar) as {name}"
    if column.type in ("date", "timestamp"):
        return f"case when {is_beyond(name, column.type)} then {column.type} {_BEYOND} else {name} end as {name}"
    return name


def keep_pads(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Make the two blocks that HMAC (RFC 2104) makes of its key variables of the session, where `judged` finds them."""
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    for name, pad in (("inner_pad", 0x36), ("outer_pad", 0x5C)):
        connection.execute(f"set variable {name} = $1::blob", [bytes(byte ^ pad for byte in block)])


def judged(contract: TableContract, rows: str, day: str) -> str:
    """A query over rows as they were `sent`: their columns as they land, `_day`, and of refused ones what and why.

    Nothing that it gives is personal.
    """
    columns = contract.columns
    landed = {f'"{column.landed_name}"': column.landed_type for column in columns}
    checks = [check for column in columns for check in _checks(column)]
    return f"""
        select
            {", ".join(f"try_cast({name} as {kind}) as {name}" for name, kind in landed.items())},
            {day} as _day, _reason, _detail, case when _reason is not null then {raw(contract)} end as _raw
        from (
            select *, {first_reason(checks)} as _reason, {first_detail(checks)} as _detail
            from (select {", ".join(map(_pseudonymised, columns))} from {rows})
        )
    """


def _pseudonymised(column: Column) -> str:
    value = f'"{column.name}"'
    if column.personal == "year":
        value = f"year({value})"
    elif column.personal == "hash":
        message = rf"encode(lower(trim({value}::varchar, e' \t\r\n')))"
        inner = f"unhex(sha256(getvariable('inner_pad') || {message}))"
        value = f"left(sha256(getvariable('outer_pad') || {inner}), 32)"
    return f'{value} as "{column.landed_name}"'


def raw(contract: TableContract) -> str:
    """A row as JSON, its decimals as text: a number of JSON may lose digits."""
    values = []
    for column in contract.columns:
        value = f'"{column.landed_name}"'
        if column.type == "decimal(18,4)":
            value += "::varchar"
        elif column.type in ("date", "timestamp") and not column.personal:
            value = f"if({value} = {column.type} {_BEYOND}, 'out of range', {value}::varchar)"
        values.append(f'"{column.landed_name}" := {value}')
    return f"to_json(struct_pack({', '.join(values)}))"


def _checks(column: Column) -> Iterator[Check]:
    """Over the columns as `_pseudonymised` gives them. No detail repeats what a personal column holds."""
    value = f'"{column.landed_name}"'
    if not column.nullable:
        yield Reason.MISSING_FIELD, f"{value} is null", f"'{column.name} is NULL'"
    if column.enum:
        allowed = ", ".join(map(text, column.enum))
        words = text(f", not one of {', '.join(column.enum)}")
        detail = f"'{column.name} is ' || {value}[:60] || {words}"
        yield Reason.NOT_IN_ENUM, f"{value} not in ({allowed})", detail
    if column.personal == "year":
        yield Reason.OUT_OF_RANGE, f"{value} not between 1 and 9999", f"'{column.name} is not in the years 1 to 9999'"
    elif column.type in ("date", "timestamp"):
        detail = f"'{column.name} is infinite, or not in the years 1 to 9999'"
        yield Reason.OUT_OF_RANGE, f"{value} = {column.type} {_BEYOND}", detail
    elif column.type == "decimal(18,4)":
        fits = rf"regexp_full_match({value}, '-?\d{{1,14}}(\.\d{{1,4}}0*)?')"
        yield Reason.OUT_OF_RANGE, f"not {fits}", f"'{column.name} is ' || {value}[:60] || ', not a decimal(18,4)'"
