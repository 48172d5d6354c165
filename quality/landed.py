"""Landed tables as their audit sees them: the relations of a window, and the contract of each table."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from contracts import CONTRACTS_DIR as PROMISES_DIR
from contracts import load_event_contracts
from contracts.tables import TableContract, load_table_contracts
from quality import soda
from quality.contract import CONTRACTS_DIR, Contract, contract_of, read_yaml
from quality.promised_events import promised_checks, promised_columns
from storage.engine import files
from storage.lake import Lake, Outcome


def show_landings(connection: duckdb.DuckDBPyConnection, lake: Lake, staged: Sequence[Outcome]) -> None:
    """Give an in-memory connection the relations that the contracts of landed tables speak of.

    `landing` (one row a table and day of the window: what ingestion counted), `earlier_landing` (how many records of
    these tables were accepted on other days) and, for each table under its name, all columns of what it wrote, and the
    landing day `dt`.

    Raises:
        duckdb.Error: a data file cannot be read.
    """
    landings = {str(lake.pending(outcome) / "data.parquet"): outcome for outcome in staged}
    connection.execute("""
        create table landing (
            table_name varchar, dt date, filename varchar,
            read bigint, accepted bigint, quarantined bigint, duplicates bigint
        )
    """)
    connection.executemany(
        "insert into landing values (?, ?, ?, ?, ?, ?, ?)",
        [
            [one.table, one.day, path, one.read, one.accepted, one.quarantined, one.duplicates]
            for path, one in landings.items()
        ],
    )
    tables = sorted({outcome.table for outcome in staged})
    days = {(outcome.table, outcome.day) for outcome in staged}
    earlier = [one for table in tables for one in lake.accepted(table=table) if (table, one.day) not in days]
    connection.execute(
        """
        create table earlier_landing as
        select
            unnest(cast($table_names as varchar[])) as table_name,
            unnest(cast($days as date[])) as dt,
            unnest(cast($accepted as bigint[])) as accepted
        """,
        {
            "table_names": [one.table for one in earlier],
            "days": [one.day for one in earlier],
            "accepted": [one.accepted for one in earlier],
        },
    )
    for table in tables:
        # By name, as dbt reads landings, so that a column may be new from some day on. A view takes no parameters.
        ours = [Path(path) for path, outcome in landings.items() if outcome.table == table]
        connection.execute(f"""
            create view {table} as
            select landing.dt, landed.* exclude (filename)
            from read_parquet(
                {files(ours)}, union_by_name = true, filename = true, hive_partitioning = false
            ) as landed
            inner join landing using (filename)
        """)


def landed_contract(table: str) -> Contract:
    """By what a landed table is judged: its own contract, and what holds for all of them.

    Its own is written by hand (`contracts/raw/<table>.yml`), or follows from what the upstream team promised. That of
    events is both: what their contracts promise, and what is expected of a day.

    Raises:
        GateError: a contract cannot be used.
        KeyError: nobody made one.
    """
    path = CONTRACTS_DIR / "raw" / f"{table}.yml"
    if path.exists():
        own = read_yaml(path)
        if table == "events":
            own = own | _promised_of_events(own["checks"])
    else:
        path, own = PROMISES_DIR / "tables" / f"{table}.yml", _promised(_promises()[table])
    checks = [*own["checks"], *read_yaml(CONTRACTS_DIR / "landing_checks.yml")]
    declared = own | {"variables": {"table": None}, "checks": checks}
    return contract_of(declared, path, {"table": table}, soda.contract_schema())


def _promised_of_events(checks: list[Any]) -> dict[str, Any]:
    """The parts of the contract for Soda that follow from the event contracts."""
    contracts = load_event_contracts()
    return {
        "owner": contracts.common.owner,
        "columns": [{"name": "dt", "data_type": "DATE"}, *promised_columns(contracts)],
        "checks": [*checks, *promised_checks()],
    }


@cache
def _promises() -> dict[str, TableContract]:
    return dict(load_table_contracts())


def _promised(promise: TableContract) -> dict[str, Any]:
    """The contract for Soda that follows from an upstream one. Each check names the days that break it."""
    columns = [{"name": column.landed_name, "data_type": column.landed_type} for column in promise.columns]
    return {
        "dataset": f"{soda.DATA_SOURCE}/main/{promise.table}",
        "owner": promise.owner,
        "description": f"Landed rows, a landing day each. {promise.description}",
        "columns": [{"name": "dt", "data_type": "DATE"}, *columns],
        "checks": [{"schema": {"allow_other_column_order": True}}, *_promised_checks(promise)],
    }


def _promised_checks(promise: TableContract) -> Iterator[dict[str, Any]]:
    names = {column.name: column.landed_name for column in promise.columns}
    key = ", ".join(names[name] for name in promise.key)
    yield _check(
        "key_unique",
        f"{key} {'is' if len(promise.key) == 1 else 'are'} not repeated within a day",
        f"select dt, {key}, count(*) as copies from {promise.table} group by dt, {key} having count(*) > 1",
    )
    absent = " or ".join(f"{column.landed_name} is null" for column in promise.columns if not column.nullable)
    yield _check(
        "required_columns",
        "Columns that are promised to be filled are",
        f"select dt, {key} from {promise.table} where {absent}",
    )
    for column in promise.columns:
        if column.enum:
            allowed = ", ".join(f"'{value}'" for value in column.enum)
            yield _check(
                f"{column.landed_name}_known",
                f"{column.landed_name} is one of {', '.join(column.enum)}",
                f"select dt, {key}, {column.landed_name} from {promise.table} "
                f"where {column.landed_name} not in ({allowed})",
            )
    if promise.read == "changes":
        yield _check(
            "changed_on_its_day",
            "A change lies on the day on which it happened",
            f"select dt, {key}, changed_at from {promise.table} where cast(changed_at as date) is distinct from dt",
        )
    elif not promise.may_be_empty:  # a day may be without a change; a list of plans or titles is never empty
        yield _check(
            "rows_present",
            "A snapshot has rows",
            f"select dt, 'no rows' as problem from landing anti join {promise.table} using (dt) "
            f"where table_name = '{promise.table}'",
        )


def _check(qualifier: str, rule: str, query: str) -> dict[str, Any]:
    return {"failed_rows": {"name": rule, "qualifier": qualifier, "query": query}}
