"""The gate: nothing is accepted or published that did not pass its contracts; what was not evaluated did not pass."""

import dataclasses
import hashlib
import hmac
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from quality import soda
from quality.contract import CONTRACTS_DIR, Check, Contract, read_contract
from quality.event_window import TRAILING_DAYS, prepare_event_audit
from quality.landed import landed_contract, show_landings
from quality.reconciliation import Built, events_by_day, inputs_as_accepted
from quality.report import PERSONAL, CheckResult, GateError, Report
from storage.days import describe_days
from storage.engine import connect
from storage.files import new_id
from storage.lake import Lake, Outcome
from storage.settings import Settings

__all__ = [
    "TRAILING_DAYS",
    "Built",
    "CheckResult",
    "GateError",
    "Report",
    "audit",
    "audit_events",
    "audit_marts",
    "audit_tables",
]

SAMPLE_ROWS = 5


def audit(
    connection: duckdb.DuckDBPyConnection,
    contracts: Sequence[Path],
    *,
    subject: str,
    variables: Mapping[str, str],
    salt: bytes,
) -> Report:
    """Judge the tables of `connection` by the contracts in those files.

    `variables` fill the contracts' `${var.name}` as they are; `salt` is the key of the hashes in samples.

    Raises:
        GateError: there is nothing to judge by, a contract cannot be used, the connection has a second catalog, or
            Soda failed.
    """
    read = [read_contract(path, variables, soda.contract_schema()) for path in contracts]
    return _judge(connection, read, subject, salt)


def _judge(connection: duckdb.DuckDBPyConnection, contracts: Sequence[Contract], subject: str, salt: bytes) -> Report:
    started_at, clock = datetime.now(UTC), time.perf_counter()
    if not contracts:
        raise GateError("The gate was given no contract. Check the folder quality/contracts.")
    _refuse_second_catalog(connection)
    try:
        results = [
            result
            for contract, verification in zip(contracts, soda.verify(connection, contracts), strict=True)
            for result in _results(connection, contract, verification, salt)
        ]
    except (duckdb.Error, ValueError) as error:
        raise GateError(f"The gate could not judge {subject!r}: {error}") from error
    return Report(new_id(), subject, started_at, time.perf_counter() - clock, tuple(results))


def _refuse_second_catalog(connection: duckdb.DuckDBPyConnection) -> None:
    """Soda's schema check looks a table up by schema and name only, so it may read another catalog's."""
    names = connection.execute("select database_name from duckdb_databases() where not internal").fetchall()
    if len(names) != 1:
        raise GateError(
            f"The gate needs a connection with one catalog, this one has {len(names)}: "
            f"{', '.join(name for (name,) in names)}. Open the audited database alone."
        )


def _results(
    connection: duckdb.DuckDBPyConnection, contract: Contract, verification: soda.Verification, salt: bytes
) -> list[CheckResult]:
    """One result a declared check, whatever Soda returned, and one more for errors that no check shows."""
    verdicts = verification.verdicts
    if undeclared := verdicts.keys() - {check.path for check in contract.checks}:
        raise GateError(f"Soda judged {', '.join(sorted(undeclared))} of {contract.table}, which nobody declared.")
    results = [
        _result(connection, contract, check, verdicts.get(check.path, soda.NO_VERDICT), salt)
        for check in contract.checks
    ]
    if verification.errors:
        message = "Soda could not evaluate all of it: " + "; ".join(verification.errors)
        error = CheckResult(contract.table, "evaluation", "not_evaluated", None, "no errors", message)
        results.append(dataclasses.replace(error, owner=contract.owner))
    return results


def _result(
    connection: duckdb.DuckDBPyConnection, contract: Contract, check: Check, verdict: soda.Verdict, salt: bytes
) -> CheckResult:
    result = CheckResult(
        *(contract.table, check.name, verdict.outcome, verdict.value, verdict.threshold, check.rule),
        owner=contract.owner,
        severity=check.severity,
    )
    if check.kind == "schema" and (differences := _schema_differences(connection, contract)):
        message = f"{check.rule}, but {'; '.join(differences)}"
        return dataclasses.replace(result, outcome="failed", value=float(len(differences)), message=message)
    if verdict.outcome == "passed":
        return result
    if verdict.outcome == "warned" and check.severity == "note":
        result = dataclasses.replace(result, outcome="noted")
    if verdict.outcome == "not_evaluated":
        return dataclasses.replace(result, message=f"{check.rule}: could not be evaluated")
    if check.query is None:
        return dataclasses.replace(result, message=f"{check.rule}: found {verdict.value:g}, {verdict.threshold}")
    return _with_rows(connection, result, check.query, salt)


def _schema_differences(connection: duckdb.DuckDBPyConnection, contract: Contract) -> list[str]:
    """Soda's own check takes decimal and bigint for one type: here types are the same or not."""
    found = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns() where schema_name = 'main' and table_name = ?",
            [contract.table],
        ).fetchall()
    )
    differences = [
        f"{name} is {found.get(name, 'missing')}" + (f", not {expected}" if name in found else "")
        for name, expected in contract.columns.items()
        if found.get(name) != expected
    ]
    if not contract.allow_extra_columns:
        differences += [f"{name} is not in the contract" for name in found.keys() - contract.columns.keys()]
    return differences


def _with_rows(connection: duckdb.DuckDBPyConnection, result: CheckResult, query: str, salt: bytes) -> CheckResult:
    """Add what Soda does not tell: some of the failing rows, and their days if the query returns a `dt`."""
    count = result.value or 0
    cursor = connection.execute(f"select * from (\n{query}\n) order by all limit {SAMPLE_ROWS}")
    columns = [column[0] for column in cursor.description]
    samples = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    days: list[date] = []
    if "dt" in columns:
        days = [day for (day,) in connection.execute(f"select distinct dt from (\n{query}\n) order by dt").fetchall()]
        days = [] if None in days else days  # a failing row without a day may belong to any: then the check names none
    if "problem" in columns:
        said = [f"{row['dt']}: {row['problem']}" if "dt" in columns else row["problem"] for row in samples[:3]]
        more = [f"and {count - 3:g} more"] if count > 3 else []
        message = "; ".join(said + more)
    else:
        message = f"{result.message}: not so for {count:g} row{'' if count == 1 else 's'}"
        message += f" on {describe_days(days)}" if days else ""
    return dataclasses.replace(
        result,
        message=message,
        days=tuple(days),
        samples=tuple({name: _shown(name, value, salt) for name, value in row.items()} for row in samples),
    )


def _shown(column: str, value: Any, salt: bytes) -> Any:
    if value is None:
        return None
    if column in PERSONAL:
        return hmac.new(salt, str(value).encode(), hashlib.sha256).hexdigest()[:12]
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if isinstance(value, bool | int | float | date) else str(value)


def audit_events(settings: Settings, lake: Lake, staged: Sequence[Outcome], baseline: Mapping[date, Path]) -> Report:
    """Judge staged landings of events; `baseline` has the data files of the last accepted days before them.

    Days that fail are left out and the others judged again until no new day fails: else the second day of a broken
    build would pass, because it is compared with the first. Every blocking result names its days: all of them, if the
    check itself names none.

    Raises:
        GateError: as `audit`.
    """
    started_at, clock = datetime.now(UTC), time.perf_counter()
    found: dict[str, CheckResult] = {}
    failed_days: set[date] = set()
    while remaining := [outcome for outcome in staged if outcome.day not in failed_days]:
        report = _audit_remaining(settings, lake, remaining, baseline)
        window = {outcome.day for outcome in remaining}
        for result in report.results:
            judged = _with_days(result, window)
            found[result.name] = _merged(found.get(result.name), judged)
            failed_days |= set(judged.days) if judged.blocks else set()
        if not report.failures:
            break
    subject = f"Landing of events {describe_days(failed_days or {outcome.day for outcome in staged})}"
    seconds = time.perf_counter() - clock
    return Report(new_id(), subject, started_at, seconds, tuple(found.values()), judged_days=len(staged))


def audit_tables(settings: Settings, lake: Lake, staged: Sequence[Outcome], subject: str) -> Report:
    """Judge staged landings of other sources, each by itself: none is compared with another.

    As above, every blocking result names its days.

    Raises:
        GateError: as `audit`, or a staged file cannot be read.
    """
    with connect(settings) as connection:
        with _readable():
            show_landings(connection, lake, staged)
        contracts = [landed_contract(table) for table in sorted({outcome.table for outcome in staged})]
        report = _judge(connection, contracts, subject, settings.salt())
    windows = {table: {one.day for one in staged if one.table == table} for table in {one.table for one in staged}}
    results = tuple(_with_days(result, windows[result.table]) for result in report.results)
    return dataclasses.replace(report, results=results, judged_days=len({outcome.day for outcome in staged}))


def _audit_remaining(
    settings: Settings, lake: Lake, staged: Sequence[Outcome], baseline: Mapping[date, Path]
) -> Report:
    with connect(settings) as connection:
        with _readable():
            prepare_event_audit(connection, lake, staged, baseline)
        return _judge(connection, [landed_contract("events")], "Landing of events", settings.salt())


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise GateError(f"The gate could not read what it is to judge: {error}") from error


def _with_days(result: CheckResult, window: set[date]) -> CheckResult:
    """A result that blocks without saying on which days of the window blocks all of them."""
    if not result.blocks or (result.days and window.issuperset(result.days)):
        return result
    return dataclasses.replace(result, days=tuple(sorted(window)))


def _merged(earlier: CheckResult | None, later: CheckResult) -> CheckResult:
    """What blocked in an earlier round stays; later rounds only add days to it."""
    if earlier is None or not earlier.blocks:
        return later
    if not later.blocks:
        return earlier
    return dataclasses.replace(
        earlier,
        value=(earlier.value or 0) + (later.value or 0),
        message=f"{earlier.message}; {later.message}",
        days=tuple(sorted({*earlier.days, *later.days})),
        samples=(*earlier.samples, *later.samples)[:SAMPLE_ROWS],
    )


def audit_marts(settings: Settings, connection: duckdb.DuckDBPyConnection, built: Built, *, subject: str) -> Report:
    """Judge a candidate's marts, and refuse it if readers would find more in it than was judged.

    Every table of schema `main` needs a contract, every contract a table. Schema `meta`, the record of all attempts,
    is not judged and may hold tables alone.

    Args:
        settings: the definitions that hold, and the salt of the samples.
        connection: the candidate's database, alone.
        built: what it was made from.
        subject: what is audited, as a sentence begins.

    Raises:
        GateError: as `audit`, or a landing that the build read cannot be read again.
    """
    contracts = sorted((CONTRACTS_DIR / "marts").glob("*.yml"))
    with _readable():
        inputs = inputs_as_accepted(built)
        landed_events = events_by_day(settings, built)
    variables = {
        "last_date": str(built.last_date),
        "launch_date": str(built.launch_date),
        "gap_dates": _sql_list(f"date '{day}'" for day in built.gap_dates),
        "restated_dates": _sql_list(f"date '{day}'" for day in built.restated_dates),
        "newly_landed_dates": _sql_list(f"date '{day}'" for day in built.newly_landed_dates),
        "late_arrival_days": str(settings.late_arrival_days),
        "active_definition": settings.active_definition,
        "landed_events_by_day": _sql_list(
            f"(date '{day}', {copies}, {events})" for day, copies, events in landed_events
        ),
        **{f"landed_{table}": str(records) for table, records in built.landed.items()},
    }
    report = audit(connection, contracts, subject=subject, variables=variables, salt=settings.salt())
    unmatched = _unmatched(connection, {path.stem for path in contracts})
    return dataclasses.replace(report, results=(*unmatched, inputs, *report.results))


def _sql_list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _unmatched(connection: duckdb.DuckDBPyConnection, contracts: set[str]) -> list[CheckResult]:
    """What no contract speaks of was not audited, whatever the others say."""
    rows = connection.execute("select table_name from duckdb_tables() where schema_name = 'main'").fetchall()
    tables = {name for (name,) in rows}
    complaints = [
        (name, f"{name} has no contract: write quality/contracts/marts/{name}.yml") for name in tables - contracts
    ]
    complaints += [(name, f"{name} is not in the database, but has a contract") for name in contracts - tables]
    # A view, or a macro, shows what it reads when it is read, which may have changed since the audit.
    complaints += connection.execute("""
        with unexpected as (
            select 'schema ' || schema_name as name from duckdb_schemas()
            where not internal and schema_name not in ('main', 'meta')
            union all
            select 'view ' || schema_name || '.' || view_name from duckdb_views() where not internal
            union all
            select 'macro ' || schema_name || '.' || function_name from duckdb_functions() where not internal
        )
        select name, name || ' is judged by no contract: make it a table of schema main with a contract, or drop it'
        from unexpected
    """).fetchall()
    return [
        CheckResult(name, "under_contract", "failed", None, "", message, owner="data-platform")
        for name, message in sorted(complaints)
    ]
