"""What a page shows of earlier runs."""

import re
from dataclasses import replace

import pytest

from liftoff import records
from quality import page
from quality.history import RUNS, Measured, chart, read_history
from quality.report import CheckOutcome, CheckResult, Report
from storage.days import now
from storage.settings import load_settings

ROWS = CheckResult("events", "row_count", "passed", 0.0, "must be greater than 0", "There are rows")
SHARE = CheckResult("events", "null_user_share", "passed", 0.0, "must be 0", "Few are without user_id")
A_DAY, A_WINDOW = "Landing of events 2026-01-10", "Landing of events 2026-01-05 to 2026-01-09"
A_BUILD = "Build 20260110T020000000Z-0123abcd"


def keep(number: int, *results: CheckResult, subject: str = A_DAY) -> Report:
    """An audit whose id tells when it was: ids sort by time."""
    days = {A_WINDOW: 5, A_BUILD: 0}.get(subject, 1)
    kept = Report(f"20260110T{number:09}Z-0000", subject, now(), 0.1, results, judged_days=days)
    records.keep_audit(load_settings(), kept)
    return kept


def rows(count: float, table: str = "events") -> CheckResult:
    return replace(ROWS, value=count, table=table)


def values_before(report: Report, table: str = "events") -> list[float | None]:
    history = read_history(load_settings().lake_dir, report)
    return [run.value for run in history.get((table, "row_count"), ())]


def test_a_report_is_compared_with_those_before_it_the_oldest_first() -> None:
    kept = [keep(number, rows(100.0 + number)) for number in range(5)]
    assert values_before(kept[0]) == []
    assert values_before(kept[3]) == [100.0, 101.0, 102.0], "what came later is not its history"


def test_a_history_is_as_long_as_a_chart_shows() -> None:
    kept = [keep(number, rows(number)) for number in range(RUNS + 5)]
    assert values_before(kept[-1]) == [float(number) for number in range(5, RUNS + 4)]


def test_like_is_compared_with_like() -> None:
    keep(1, rows(60_000.0), subject=A_WINDOW)
    keep(2, rows(1_000.0))
    keep(3, rows(2_000.0, "payments"), subject="Landing of warehouse extracts 2026-01-10")
    keep(4, rows(60_000.0, "fct_session"), subject=A_BUILD)
    assert values_before(keep(5, rows(1_001.0))) == [1_000.0], (
        "a window's rows would make those of a day look like none"
    )
    assert values_before(keep(6, rows(61_000.0), subject=A_WINDOW)) == [60_000.0]
    assert values_before(keep(7, rows(1.0, "fct_session"), subject=A_BUILD), "fct_session") == [60_000.0]


def test_a_record_that_cannot_be_read_costs_its_point_alone() -> None:
    keep(1, rows(1_000.0))
    folder = load_settings().lake_dir / "meta" / "check_result"
    for number, content in enumerate(
        [b"", b"{}\n", b"\xff\x00", b'{"gate_id": "0", "subject": "Landing 2026-01-09"}\n']
    ):
        (folder / f"9999{number}.json").write_bytes(content)
    assert values_before(keep(2, rows(1_001.0))) == [1_000.0]


def test_a_check_that_measured_the_same_in_all_runs_has_no_line() -> None:
    assert chart(SHARE, [Measured(0.0, "passed")] * 8) is None
    assert chart(SHARE, []) is None
    assert chart(replace(SHARE, outcome="failed", value=3.0), []) is None, "there is nothing to compare it with"


def test_a_chart_rises_with_the_value_and_ends_with_this_run() -> None:
    drawn = chart(rows(300.0), [Measured(100.0, "passed"), Measured(200.0, "passed")])
    assert drawn
    points = [tuple(map(float, point.split())) for point in re.findall(r"[\d.]+ [\d.]+", drawn.line)]
    (x1, y1), (x2, y2), (x3, y3) = points
    assert x1 < x2 < x3
    assert y1 > y2 > y3, "in SVG, up is less"
    assert [(mark.x, mark.y, mark.outcome) for mark in drawn.marks] == [(x3, y3, "passed")]
    assert drawn.words == "3 runs: 100 to 300"


def test_runs_that_warned_failed_or_measured_nothing_are_marked_and_told() -> None:
    before = [
        Measured(1.0, "passed"),
        Measured(2.0, "warned"),
        Measured(None, "not_evaluated"),
        Measured(9.0, "failed"),
    ]
    drawn = chart(rows(2.0), before)
    assert drawn
    assert [mark.outcome for mark in drawn.marks] == ["warned", "not_evaluated", "failed", "passed"]
    assert drawn.line.count("M") == 2, "the line is interrupted where nothing was measured"
    assert drawn.words == "5 runs: 1 to 9, 1 warned, 1 not evaluated, 1 failed"
    html = page.render(Report("g", A_DAY, now(), 0.1, (rows(2.0),)), history={("events", "row_count"): before})
    assert f"<title>{drawn.words}</title>" in html, "who does not see the line hears it"
    assert [html.count(f'<circle class="{tone}"') for tone in ("warn", "fail", "passed")] == [1, 2, 1]


def test_a_page_is_left_beside_the_report_complete_in_itself() -> None:
    keep(1, rows(100.0), SHARE)
    last = keep(2, rows(200.0), SHARE)
    reports = load_settings().lake_dir / "reports"
    html = (reports / f"{last.gate_id}.html").read_text()
    assert "2 runs: 100 to 200" in html
    assert last.sentence() in html
    assert "href" not in html
    assert html.count("<svg") == 1, "what never moved has no line"


@pytest.mark.parametrize("outcome", ["passed", "noted", "warned", "failed"])
def test_who_looks_is_shown_beside_each_check(outcome: CheckOutcome) -> None:
    result = replace(SHARE, outcome=outcome, owner="client-analytics", severity="warn")
    assert "client-analytics" in page.render(Report("g", A_DAY, now(), 0.1, (result,)))
