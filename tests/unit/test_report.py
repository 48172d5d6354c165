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
    assert found.passed_on(MONDAY)
    assert not found.passed_on(TUESDAY)


@pytest.mark.parametrize("outcome", ["failed", "not_evaluated"])
def test_a_failure_that_names_no_day_stops_all_of_them(outcome: CheckOutcome) -> None:
    assert not report(PASSED, replace(PASSED, outcome=outcome)).passed_on(MONDAY)


def test_a_report_without_results_lets_nothing_land() -> None:
    assert not report().passed_on(MONDAY)
