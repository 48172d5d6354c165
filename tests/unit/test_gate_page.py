"""The gate's report as people read it."""

import os
import time
from dataclasses import replace
from datetime import date
from html import unescape
from html.parser import HTMLParser

import pytest

from liftoff import records
from quality import page
from quality.report import CheckResult, Report
from storage.days import now
from storage.files import new_id, write_json
from storage.lake import Lake
from storage.settings import load_settings
from storage.warehouse import Manifest

FRIDAY, SATURDAY = date(2026, 1, 9), date(2026, 1, 10)
PASSED = CheckResult("events", "row_count", "passed", 3178.0, "must be greater than 0", "There are rows")
FAILED = CheckResult(
    "events",
    "null_user_share",
    "failed",
    6.0,
    "must be 0",
    "2026-01-09: no user_id on tv; 2026-01-10: no user_id on tv",
    (FRIDAY, SATURDAY),
    ({"dt": FRIDAY, "problem": "no user_id on tv", "platform": "tv", "user_id": None},),
)
WARNED = replace(PASSED, name="cold_start", outcome="warned", message="tv not compared")
UNJUDGED = CheckResult("fct_session", "times_agree", "not_evaluated", None, "", "Times agree: could not be evaluated")
HOSTILE = "<script>alert('a')</script>\"><img src=x onerror=alert(1)>{{ 7 * 7 }}"


def report(*results: CheckResult, subject: str = "Landing of events 2026-01-09 to 2026-01-10") -> Report:
    return Report(new_id(), subject, now(), 1.26, results)


def keep(*results: CheckResult, **subject: str) -> Report:
    time.sleep(0.002)  # ids sort by the millisecond
    kept = report(*results, **subject)
    records.keep_audit(load_settings(), kept)
    return kept


class Tags(HTMLParser):
    """The names of all elements, and of all attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


def test_what_a_device_sent_is_text_and_nothing_else() -> None:
    plain = Tags(page.render(report(FAILED), []))
    sample = {HOSTILE: HOSTILE, "platform": HOSTILE}
    hostile = CheckResult(HOSTILE, HOSTILE, "failed", 1.0, HOSTILE, HOSTILE, (), (sample,))
    found = report(hostile, replace(hostile, outcome="warned"), replace(hostile, outcome="passed"), subject=HOSTILE)
    html = page.render(found, [found, page.Unreadable(HOSTILE)])
    assert Tags(html).names - plain.names <= {"aside", "ol", "details", "summary", "a"}
    assert not Tags(html).attributes & {"onerror", "src"}
    assert unescape(html).count(HOSTILE) > 10


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    found = report(FAILED, WARNED, PASSED)
    html = page.render(found, [found])
    assert not Tags(html).names & {"script", "link", "img", "iframe", "object", "form"}
    assert "url(" not in html
    assert "@import" not in html
    assert Tags(html).links == [found.gate_id]


def test_what_failed_comes_first_then_warnings_then_what_passed() -> None:
    html = page.render(report(PASSED, WARNED, UNJUDGED, FAILED), [])
    places = [html.index(f">{result.name}") for result in (FAILED, UNJUDGED, WARNED, PASSED)]
    assert places == sorted(places)
    assert html.index("<details>") > places[2], "what passed is folded, the rest is not"
    assert html.count("<details>") == 1


def test_every_check_of_a_report_is_on_its_page() -> None:
    outcomes = (FAILED, WARNED, PASSED, UNJUDGED)
    results = [
        replace(outcome, table=f"table_{number % 7}", name=f"check_{number}_", message=f"rule {number}.")
        for number in range(40)
        for outcome in [outcomes[number % 4]]
    ]
    html = page.render(report(*results), [])
    for result in results:
        assert html.count(f">{result.name}<") + html.count(f">{result.name} <") == 1, result.name
        assert result.message in html
        assert result.table in html


def test_a_failed_check_shows_what_was_found_where_it_was_and_rows() -> None:
    html = page.render(report(FAILED, PASSED), [])
    for words in ("no user_id on tv", "must be 0", "2026-01-09 to 2026-01-10", "<td>tv</td>", "<i>null</i>", "1 of 6"):
        assert words in html
    assert "Landing of events 2026-01-09 to 2026-01-10 was blocked: 1 of 2 checks failed." in html


def test_a_blocked_page_says_what_readers_see_and_what_to_do() -> None:
    landing, build = (
        page.render(report(replace(FAILED, table=table)), []) for table in ("events", "mart_retention_cohort")
    )
    passed = page.render(report(PASSED, WARNED), [])
    assert "Readers see what they saw before." in landing
    assert "load the same days again with <code>load_window</code>" in landing
    assert "quality/contracts/raw/events.yml" in landing
    assert "trigger <code>build_marts</code>" in build
    assert "Readers see what" not in passed


def test_a_report_without_a_check_is_blocked() -> None:
    assert "was blocked: no check was made." in page.render(report(), [])


def test_a_kept_report_reads_back_as_it_was() -> None:
    kept = keep(PASSED, FAILED, UNJUDGED)
    html = page.page_of(load_settings(), kept.gate_id)
    assert html == page.render(kept, [kept])


def test_a_report_says_which_release_it_let_pass_and_whether_readers_see_it() -> None:
    settings, kept = load_settings(), keep(PASSED)
    manifest = Manifest("r", None, now(), FRIDAY, FRIDAY, (), (), "rules", "code", (), gate_id=kept.gate_id)
    (settings.warehouse_dir / "releases" / "r").mkdir(parents=True)
    write_json(settings.warehouse_dir / "releases" / "r" / "manifest.json", manifest)
    (settings.warehouse_dir / "history.jsonl").write_text('{"release": "r", "at": "", "why": "publish"}\n')
    assert "Was published: release r" in page.latest_page(settings)
    (settings.warehouse_dir / "current").symlink_to("releases/r")
    assert "Readers see it: release r" in page.latest_page(settings)


def test_the_latest_page_is_the_newest_report_and_leads_to_the_others() -> None:
    kept = [keep(replace(PASSED, message=f"rule {number}.")) for number in range(page.LISTED + 2)]
    newest_first = [found.gate_id for found in reversed(kept)]
    settings = load_settings()
    assert f"rule {page.LISTED + 1}." in page.latest_page(settings)
    assert Tags(page.latest_page(settings)).links == newest_first[: page.LISTED]
    assert "rule 0." in (page.page_of(settings, kept[0].gate_id) or ""), "older ones are kept, though not listed"


def test_what_was_refused_is_seen_first_until_it_is_landed_again_or_a_build_went_by() -> None:
    settings = load_settings()

    def seen() -> str:
        return page.latest_page(settings)

    refused = keep(FAILED, subject="Landing of events 2026-01-09")
    beside = keep(replace(PASSED, table="payments"), subject="Landing of warehouse extracts 2026-01-09")
    assert seen() == page.page_of(settings, refused.gate_id)
    keep(PASSED, subject="Landing of events 2026-01-09")
    newest = keep(replace(PASSED, table="payments"), subject=beside.subject)
    assert seen() == page.page_of(settings, newest.gate_id)
    keep(FAILED, subject="Landing of events 2026-01-10")
    build = keep(replace(PASSED, table="fct_session"), subject="Build 20260110T020000000Z-0123abcd")
    assert seen() == page.page_of(settings, build.gate_id)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"gate_id": "x", "verdict": "fine"}', b"\xff\x00"])
def test_a_report_of_another_version_is_named_and_the_others_stay_readable(content: bytes) -> None:
    readable = keep(PASSED)
    settings = load_settings()
    unreadable = settings.lake_dir / "reports" / "29991231T000000000Z-0000.json"
    unreadable.write_bytes(content)
    assert f"The report {unreadable.stem} cannot be read" in page.latest_page(settings)
    assert "cannot be read" in (page.page_of(settings, readable.gate_id) or "")
    assert readable.sentence() in (page.page_of(settings, readable.gate_id) or "")


def test_before_the_first_audit_the_page_says_what_to_trigger() -> None:
    html = page.latest_page(load_settings())
    assert "Nothing was audited yet" in html
    assert "load_window" in html


@pytest.mark.parametrize("gate_id", ["", "..", "../meta/check_result/x", "/etc/passwd", "x\x00", "secret", "*"])
def test_only_the_id_of_a_kept_report_has_a_page(gate_id: str) -> None:
    keep(PASSED)
    settings = load_settings()
    (settings.lake_dir / "secret.json").write_text("{}")
    assert page.page_of(settings, gate_id) is None


def test_a_report_is_kept_as_long_as_what_the_gate_refused() -> None:
    old, new = (keep(PASSED) for _ in range(2))
    lake = Lake(load_settings().lake_dir)
    two_months = time.time() - 86_400 * 60
    for path in (lake.root / "reports").glob(f"{old.gate_id}.*"):
        os.utime(path, (two_months, two_months))
    lake.sweep(rejected_days=30)
    assert {path.stem for path in (lake.root / "reports").iterdir()} == {new.gate_id}
