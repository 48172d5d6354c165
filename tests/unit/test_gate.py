"""The gate fails closed: what was not evaluated did not pass. Each way that Soda passes by accident has its test."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml
from jsonschema import Draft202012Validator

from contracts.tables import load_table_contracts
from quality import gate, soda
from quality.contract import CONTRACTS_DIR, read_contract
from quality.gate import GateError, Report
from quality.landed import landed_contract
from storage.settings import PROJECT_DIR

VISITS: dict[str, Any] = {
    "dataset": "liftoff/main/visits",
    "owner": "web",
    "description": "One row per visit, made for these tests.",
    "columns": [
        {"name": "user_id", "data_type": "VARCHAR", "checks": [{"missing": None}]},
        {"name": "pages", "data_type": "BIGINT", "checks": [{"invalid": {"valid_min": 1}}]},
        {"name": "dt", "data_type": "DATE"},
    ],
    "checks": [{"schema": {"allow_other_column_order": True}}, {"row_count": None}],
}
FAILED_ROWS = {
    "name": "Nobody reads five pages",
    "qualifier": "few_pages",
    "query": "select * from visits where pages = 5",
}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with one good table."""
    with duckdb.connect() as connection:
        connection.execute("""
            create table visits as
            select 'u' || n as user_id, n as pages, date '2026-01-05' + cast(n as integer) as dt
            from range(1, 8) as t(n)
        """)
        yield connection


@pytest.fixture
def judge(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Callable[..., Report]:
    """Audit `visits` by VISITS, some of its parts replaced or its checks added to."""

    def audit(*checks: dict[str, Any], given: dict[str, str] | None = None, **parts: Any) -> Report:
        contract = tmp_path / "visits.yml"
        contract.write_text(yaml.safe_dump(VISITS | {"checks": [*VISITS["checks"], *checks]} | parts))
        return gate.audit(connection, [contract], subject="Visits", variables=given or {}, salt=b"salt")

    return audit


def failures(report: Report) -> dict[str, str]:
    """Outcome by check, of those that block."""
    assert report.passed is not bool(report.failures), report.text()
    return {result.name: result.outcome for result in report.failures}


def test_a_good_table_passes_with_one_result_a_declared_check(judge: Callable[..., Report]) -> None:
    report = judge()
    assert report.passed
    assert [result.name for result in report.results] == ["user_id_missing", "pages_invalid", "schema", "row_count"]
    assert report.results[1].message == "pages is at least 1"
    assert report.sentence() == "Visits passed 4 checks."


def test_a_report_without_results_has_not_passed(judge: Callable[..., Report]) -> None:
    passed = judge()
    assert not Report(passed.gate_id, "Visits", passed.started_at, 0.0, results=()).passed


# ---- what was not evaluated ----


def test_a_metric_that_is_null_does_not_pass(judge: Callable[..., Report]) -> None:
    metric = {"name": "Average of nothing", "qualifier": "average", "threshold": {"must_be": 0}}
    report = judge({"metric": metric | {"query": "select avg(pages) from visits where pages > 99"}})
    assert failures(report) == {"average": "not_evaluated"}


def test_a_query_that_breaks_does_not_pass_and_its_error_is_shown(judge: Callable[..., Report]) -> None:
    report = judge({"failed_rows": FAILED_ROWS | {"query": "select * from nowhere"}})
    assert failures(report) == {"few_pages": "not_evaluated", "evaluation": "not_evaluated"}
    assert "nowhere does not exist" in report.text()


def test_a_missing_table_does_not_pass(judge: Callable[..., Report], connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("drop table visits")
    assert failures(judge()).keys() >= {"schema", "row_count"}


def test_an_empty_table_does_not_pass(judge: Callable[..., Report], connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("delete from visits")
    assert failures(judge()) == {"row_count": "failed"}


def test_an_error_of_soda_blocks_although_every_check_passed(
    judge: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = soda.verify
    monkeypatch.setattr(
        soda, "verify", lambda *args: [soda.Verification(found.verdicts, ("it broke",)) for found in verify(*args)]
    )
    assert failures(judge()) == {"evaluation": "not_evaluated"}


def test_a_declared_check_without_a_result_does_not_pass(
    judge: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = soda.verify

    def forgetful(*args: Any) -> list[soda.Verification]:
        (found,) = verify(*args)
        return [soda.Verification({k: v for k, v in found.verdicts.items() if k != "checks.row_count"}, found.errors)]

    monkeypatch.setattr(soda, "verify", forgetful)
    assert failures(judge()) == {"row_count": "not_evaluated"}


def test_a_result_that_nobody_declared_is_refused(
    judge: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = soda.verify
    surprise = {"checks.surprise": soda.Verdict("passed", 0.0, "")}
    monkeypatch.setattr(
        soda, "verify", lambda *args: [soda.Verification({**found.verdicts, **surprise}, ()) for found in verify(*args)]
    )
    with pytest.raises(GateError, match=r"checks\.surprise"):
        judge()


def test_a_contract_without_a_verification_is_refused(
    judge: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soda, "verify", lambda *_: [])
    with pytest.raises(GateError, match="could not judge"):
        judge()


@pytest.mark.parametrize(
    ("outcome", "value"),
    [("NOT_EVALUATED", 0), ("EXCLUDED", 0), ("SOMETHING_NEW", 0), ("PASSED", None), ("PASSED", float("nan"))],
)
def test_only_a_number_that_passed_or_warned_lets_pass(outcome: str, value: float | None) -> None:
    check = SimpleNamespace(relative_path="checks.row_count", threshold="level: fail\nmust be: 0")
    result = SimpleNamespace(check=check, outcome=SimpleNamespace(name=outcome), threshold_value=value)
    verification = soda._verification(SimpleNamespace(check_results=[result], log_records=None, error=None))
    assert verification.verdicts["checks.row_count"].outcome == "not_evaluated"


def test_an_exception_in_soda_is_an_error_and_no_pass(
    judge: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    from soda_core.contracts.contract_verification import ContractVerificationSession

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("soda is flat")

    monkeypatch.setattr(ContractVerificationSession, "execute", broken)
    with pytest.raises(GateError, match="soda is flat"):
        judge()


# ---- how the process logs ----


@pytest.fixture
def soda_logger() -> Iterator[logging.Logger]:
    """The logger through which Soda talks to itself, as it was before afterwards."""
    logger = logging.getLogger("soda")
    before = logger.level, logger.propagate, logger.disabled
    yield logger
    logging.disable(logging.NOTSET)
    logger.setLevel(before[0])
    logger.propagate, logger.disabled = before[1:]


@pytest.mark.parametrize(
    "silence",
    [
        lambda _: logging.disable(logging.CRITICAL),
        lambda logger: logger.setLevel(logging.CRITICAL),
        lambda logger: setattr(logger, "propagate", False),
        lambda logger: setattr(logger, "disabled", True),
    ],
    ids=["logging disabled", "level above error", "not propagating", "logger disabled"],
)
def test_errors_are_seen_however_the_process_logs(
    silence: Callable[[logging.Logger], None], judge: Callable[..., Report], soda_logger: logging.Logger
) -> None:
    silence(soda_logger)
    silenced = soda_logger.level, soda_logger.propagate, soda_logger.disabled, logging.root.manager.disable
    report = judge({"failed_rows": FAILED_ROWS | {"query": "select * from nowhere"}})
    assert failures(report)["evaluation"] == "not_evaluated"
    assert silenced == (soda_logger.level, soda_logger.propagate, soda_logger.disabled, logging.root.manager.disable)


def test_nothing_is_judged_when_errors_would_not_be_seen(
    judge: Callable[..., Report], soda_logger: logging.Logger
) -> None:
    def drop(_: logging.LogRecord) -> bool:
        return False

    soda_logger.addFilter(drop)
    try:
        with pytest.raises(GateError, match="Remove the filter"):
            judge()
    finally:
        soda_logger.removeFilter(drop)


def test_sodas_own_lines_stay_out_of_the_log(judge: Callable[..., Report], caplog: pytest.LogCaptureFixture) -> None:
    judge({"failed_rows": FAILED_ROWS | {"query": "select * from nowhere"}})
    assert not [record for record in caplog.records if record.name == "soda"]
    assert not [handler for handler in logging.root.handlers if soda._not_soda in handler.filters]


# ---- contracts that Soda would take and not understand ----


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"checks": []}, "needs the check `schema`"),
        ({"checks": [{"row_count": None}]}, "needs the check `schema`"),
        ({"checks": [{"schema": {"allow_other_column_order": True}}]}, "needs the check `row_count`"),
        ({"chekcs": []}, "chekcs"),
        ({"dataset": "liftoff/main/others"}, "about others: name the file after it"),
        ({"dataset": "elsewhere/main/visits"}, "does not match"),
        ({"filter": "pages > 0"}, "filter"),
        ({"columns": [{"name": "pages", "data_type": "BIGINT", "chekcs": [{"missing": None}]}]}, "chekcs"),
        ({"columns": [{"name": "pages", "data_type": "BIGINT", "checks": [{"mising": None}]}]}, "mising"),
        ({"columns": [{"name": "pages"}]}, "data_type"),
        ({"columns": [{"name": "pages", "data_type": "BIGINT", "checks": [{"invalid": {}}]}]}, "non-empty"),
    ],
)
def test_a_contract_that_soda_would_ignore_in_part_is_refused(
    parts: dict[str, Any], complaint: str, judge: Callable[..., Report]
) -> None:
    with pytest.raises(GateError, match=complaint):
        judge(**parts)


ROWS_PRESENT = {
    "name": "All visits that were counted are there",
    "qualifier": "rows_present",
    "query": "select count(*) as held from visits having count(*) <> ${var.counted}",
}


@pytest.mark.parametrize("qualifier", ["rows_present", "counts_add_up"])
def test_a_table_that_may_be_empty_is_compared_with_what_was_counted(
    qualifier: str, connection: duckdb.DuckDBPyConnection, judge: Callable[..., Report]
) -> None:
    checks = [{"schema": {"allow_other_column_order": True}}, {"failed_rows": ROWS_PRESENT | {"qualifier": qualifier}}]
    parts = {"checks": checks, "variables": {"counted": None}}
    assert judge(**parts, given={"counted": "7"}).passed
    assert failures(judge(**parts, given={"counted": "8"})) == {qualifier: "failed"}
    connection.execute("delete from visits")
    assert judge(**parts, given={"counted": "0"}).passed
    assert failures(judge(**parts, given={"counted": "7"})) == {qualifier: "failed"}


@pytest.mark.parametrize("words", [{"qualifier": "rows_are_there"}, {"threshold": {"must_be": 0, "level": "warn"}}])
def test_only_a_check_that_blocks_when_rows_are_missing_stands_in_for_row_count(
    words: dict[str, Any], judge: Callable[..., Report]
) -> None:
    checks = [{"schema": {"allow_other_column_order": True}}, {"failed_rows": ROWS_PRESENT | words}]
    with pytest.raises(GateError, match="needs the check `row_count`, or a failed_rows check `rows_present`"):
        judge(checks=checks, variables={"counted": None}, given={"counted": "7"})


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"fitler": "pages > 0"}, "fitler"),
        ({"thresholds": {"must_be": 0}}, "thresholds"),
        ({"threshold": {"must_be_greater": 0}}, "must_be_greater"),
        ({"threshold": {"level": "warn"}}, "exactly one comparison"),
        ({"threshold": {"must_be_greater_than": 0, "must_be_less_than": 9}}, "exactly one comparison"),
        ({"threshold": {"must_be": None}}, "not of type 'number'"),
        ({"query": "select 1; select 2"}, "does not match"),
    ],
)
def test_a_check_that_soda_would_ignore_in_part_is_refused(
    words: dict[str, Any], complaint: str, judge: Callable[..., Report]
) -> None:
    with pytest.raises(GateError, match=complaint):
        judge({"failed_rows": FAILED_ROWS | words})


def test_two_checks_that_soda_would_take_for_one_are_refused(judge: Callable[..., Report]) -> None:
    with pytest.raises(GateError, match=r"checks\.failed_rows\.few_pages twice"):
        judge({"failed_rows": FAILED_ROWS}, {"failed_rows": FAILED_ROWS | {"query": "select 1"}})


def test_a_key_that_stands_twice_is_refused(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    contract = tmp_path / "visits.yml"
    contract.write_text(yaml.safe_dump(VISITS) + yaml.safe_dump({"checks": VISITS["checks"]}))
    with pytest.raises(GateError, match="duplicate key"):
        gate.audit(connection, [contract], subject="Visits", variables={}, salt=b"")


def test_a_contract_that_is_not_there_or_no_mapping_is_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    (tmp_path / "empty.yml").touch()
    for name, complaint in (("absent.yml", "cannot be read"), ("empty.yml", "not of type 'object'")):
        with pytest.raises(GateError, match=complaint):
            gate.audit(connection, [tmp_path / name], subject="Visits", variables={}, salt=b"")


def test_sodas_own_schema_is_applied_too(judge: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soda, "contract_schema", lambda: Draft202012Validator({"required": ["made_up"]}))
    with pytest.raises(GateError, match="made_up"):
        judge()


def test_no_contract_is_no_pass(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(GateError, match="no contract"):
        gate.audit(connection, [], subject="Visits", variables={}, salt=b"")


@pytest.mark.parametrize(
    ("query", "declared", "given", "complaint"),
    [
        ("pages = ${var.limit}", {}, {"limit": "5"}, "does not declare the variable limit"),
        ("pages = ${var.limit}", {"limit": None}, {}, "was not given the variable limit"),
        ("pages = 5", {"limit": None}, {"limit": "5"}, "does not use the variable limit"),
        ("pages = ${env.HOME}", {}, {}, r"not \$\{var\.name\}"),
        ("pages = ${ var.limit }", {}, {"limit": "5"}, r"not \$\{var\.name\}"),
    ],
)
def test_a_variable_that_soda_would_not_fill_in_is_refused(
    query: str, declared: dict[str, None], given: dict[str, str], complaint: str, judge: Callable[..., Report]
) -> None:
    check = {"failed_rows": FAILED_ROWS | {"query": f"select * from visits where {query}"}}
    with pytest.raises(GateError, match=complaint):
        judge(check, given=given, **({"variables": declared} if declared else {}))


def test_a_variable_is_filled_in_for_soda_and_for_the_sample_rows(judge: Callable[..., Report]) -> None:
    check = {"failed_rows": FAILED_ROWS | {"query": "select pages from visits where pages > ${var.limit}"}}
    report = judge(check, given={"limit": "6"}, variables={"limit": None})
    assert [result.samples for result in report.failures] == [({"pages": 7},)]


def test_every_contract_of_the_project_can_be_used() -> None:
    for table in ("events", "countries", "indicators", "rates", *load_table_contracts()):
        assert landed_contract(table).checks
    names = ["launch_date", "last_date", "gap_dates", "restated_dates", "newly_landed_dates"]
    settings = ["late_arrival_days", "active_definition"]
    landed = ["landed_subscription_changes", "landed_payments", "landed_experiments", "landed_events_by_day"]
    variables = dict.fromkeys([*names, *settings, *landed], "")
    paths = sorted((CONTRACTS_DIR / "marts").glob("*.yml"))
    assert len(paths) >= 38
    for path in paths:
        assert read_contract(path, variables, soda.contract_schema()).checks


# ---- what Soda looks at ----


def test_a_second_catalog_is_refused(judge: Callable[..., Report], connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("attach ':memory:' as other")
    with pytest.raises(GateError, match="one catalog"):
        judge()


@pytest.mark.parametrize("other_type", ["decimal(18, 4)", "integer", "varchar"])
def test_a_column_of_another_type_fails(
    other_type: str, judge: Callable[..., Report], connection: duckdb.DuckDBPyConnection
) -> None:
    connection.execute(f"alter table visits alter dt drop default; alter table visits add column seen {other_type}")
    columns = [*VISITS["columns"], {"name": "seen", "data_type": "BIGINT"}]
    assert failures(judge(columns=columns)) == {"schema": "failed"}


def test_a_missing_and_a_new_column_fail_and_are_named(
    judge: Callable[..., Report], connection: duckdb.DuckDBPyConnection
) -> None:
    connection.execute("alter table visits rename dt to day")
    (result,) = judge().failures
    assert (
        result.message == "Columns and types are those of the contract, but dt is missing; day is not in the contract"
    )


def test_importing_the_gate_does_not_import_soda_and_judging_sends_no_statistics() -> None:
    script = "import sys; from quality import gate; assert 'soda_core' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT_DIR, check=True, timeout=60)
    soda.contract_schema()
    assert os.environ["SODA_CORE_TELEMETRY_ENABLED"] == "false"


# ---- what people see ----


def test_a_warning_lets_pass_and_is_counted(judge: Callable[..., Report]) -> None:
    report = judge({"failed_rows": FAILED_ROWS | {"threshold": {"must_be": 0, "level": "warn"}}})
    assert report.passed
    assert report.sentence() == "Visits passed 5 checks, 1 of them with a warning."
    assert "few_pages  Nobody reads five pages: not so for 1 row on 2026-01-10" in report.text()


def test_a_failing_check_shows_five_rows_hashed_by_the_salt_and_its_days(judge: Callable[..., Report]) -> None:
    report = judge({"failed_rows": FAILED_ROWS | {"query": "select * from visits where pages > 1"}})
    (result,) = report.failures
    assert (result.value, result.threshold, len(result.samples)) == (6.0, "must be 0", 5)
    assert result.message == "Nobody reads five pages: not so for 6 rows on 2026-01-07 to 2026-01-12"
    assert {str(day) for day in result.days} == {f"2026-01-{day:02}" for day in range(7, 13)}
    assert not {"u2", "u3", "u4", "u5", "u6", "u7"} & {row["user_id"] for row in result.samples}
    assert all(len(row["user_id"]) == 12 for row in result.samples)


def test_another_salt_gives_other_hashes() -> None:
    assert gate._shown("user_id", "u1", b"one") != gate._shown("user_id", "u1", b"two")
    assert gate._shown("user_id", "u1", b"one") == gate._shown("user_id", "u1", b"one")
    assert gate._shown("user_id", None, b"one") is None
    assert gate._shown("platform", "tv", b"one") == "tv"


def test_a_failing_row_without_a_day_leaves_the_check_without_days(judge: Callable[..., Report]) -> None:
    query = "select if(pages = 5, null, dt) as dt from visits"
    (result,) = judge({"failed_rows": FAILED_ROWS | {"query": query}}).failures
    assert result.days == ()


def test_a_problem_that_the_query_words_is_what_people_read(judge: Callable[..., Report]) -> None:
    query = "select dt, pages || ' pages' as problem from visits where pages > 3"
    report = judge({"failed_rows": FAILED_ROWS | {"query": query}})
    assert report.text().splitlines() == [
        "Visits was blocked: 1 of 5 checks failed.",
        "  few_pages  2026-01-09: 4 pages",
        "             2026-01-10: 5 pages",
        "             2026-01-11: 6 pages",
        "             and 1 more",
        "Who looks: web.",
    ]


def test_a_result_says_who_looks_and_whether_it_would_block(judge: Callable[..., Report]) -> None:
    warning = {"failed_rows": FAILED_ROWS | {"threshold": {"must_be": 0, "level": "warn"}}}
    results = judge(warning).results
    assert {result.owner for result in results} == {"web"}
    assert {result.name for result in results if result.severity == "warn"} == {"few_pages"}


def test_a_contract_without_an_owner_is_refused(judge: Callable[..., Report]) -> None:
    for owner in (None, "", "Web Team"):
        with pytest.raises(GateError, match="at owner"):
            judge(owner=owner)


def test_an_error_that_no_check_shows_has_an_owner_too(judge: Callable[..., Report]) -> None:
    report = judge({"failed_rows": FAILED_ROWS | {"query": "select * from nowhere"}})
    assert {result.owner for result in report.failures} == {"web"}
