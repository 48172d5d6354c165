"""What a report means for the days that it judged."""

from dataclasses import replace
from datetime import date

import pytest

from quality.report import CheckOutcome, CheckResult, Report
from storage.days import now

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
PASSED = CheckResult("events", "rows", "passed", 1, "", "")


def report(*results: CheckResult) -> Report:
    return Report("g", "Landing of events", now(), 0.1, results)


def test_a_day_that_no_failure_names_may_land() -> None:
    found = report(PASSED, replace(PASSED, outcome="failed", days=(TUESDAY,)))
    assert found.passed_on("events", MONDAY)
    assert not found.passed_on("events", TUESDAY)


@pytest.mark.parametrize("outcome", ["failed", "not_evaluated"])
def test_a_failure_that_names_no_day_stops_all_of_them(outcome: CheckOutcome) -> None:
    assert not report(PASSED, replace(PASSED, outcome=outcome)).passed_on("events", MONDAY)


def test_a_report_without_results_lets_nothing_land() -> None:
    assert not report().passed_on("events", MONDAY)


def test_a_table_that_was_not_judged_may_not_land_although_the_others_passed() -> None:
    found = report(PASSED)
    assert found.passed
    assert not found.passed_on("payments", MONDAY)


def test_the_text_names_the_owners_of_what_blocks_and_else_of_what_warns() -> None:
    failed = replace(PASSED, outcome="failed", owner="growth")
    warned = replace(PASSED, outcome="warned", severity="warn", owner="playback")
    assert report(PASSED, warned, failed).text().endswith("\nWho looks: growth.")
    assert report(PASSED, warned).text().endswith("\nWho looks: playback.")
    assert "Who looks" not in report(replace(PASSED, owner="growth")).text()


def test_a_failure_of_one_table_does_not_hold_back_the_same_day_of_another() -> None:
    payments = replace(PASSED, table="payments", outcome="failed", days=(TUESDAY,))
    found = report(PASSED, payments)
    assert found.passed_on("events", TUESDAY)
    assert not found.passed_on("payments", TUESDAY)
    assert "payments.rows" in found.text(), "which table it was stands in the text"
