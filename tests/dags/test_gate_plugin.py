"""The gate's reports in Airflow's own server."""

from typing import Any
from urllib.parse import urljoin

import pytest

from liftoff import records
from quality.report import CheckResult, Report
from storage.days import now
from storage.files import new_id
from storage.settings import load_settings

PASSED = CheckResult("events", "row_count", "passed", 3178.0, "must be greater than 0", "There are rows")
PATHS = ["/gate/", "/gate/20260101T000000000Z-0000", "/gate/a/b", "/gate/..%2F..%2Fsecret", "/gate/openapi.json"]


def keep(subject: str) -> Report:
    report = Report(new_id(), subject, now(), 0.1, (PASSED,))
    records.keep_audit(load_settings(), report)
    return report


@pytest.mark.parametrize("path", PATHS)
def test_without_login_there_is_nothing_to_see(server: Any, path: str) -> None:
    keep("Landing of events 2026-01-05")
    answer = server.get(path)
    assert answer.status_code == 401
    assert "not logged in" in answer.text
    assert "Landing" not in answer.text


def test_the_latest_report_is_shown_to_who_is_logged_in(server: Any, token: str, login: dict[str, str]) -> None:
    from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN

    keep("Landing of events 2026-01-05")
    for how in ({"headers": login}, {"headers": {"Cookie": f"{COOKIE_NAME_JWT_TOKEN}={token}"}}):
        answer = server.get("/gate/", **how)
        assert answer.status_code == 200
        assert "Landing of events 2026-01-05 passed 1 checks." in answer.text


def test_a_report_is_found_by_its_id(server: Any, login: dict[str, str]) -> None:
    first, _ = keep("The first audit"), keep("The second audit")
    answer = server.get(urljoin("/gate/", first.gate_id), headers=login)
    assert answer.status_code == 200
    assert "<h1>The first audit passed" in answer.text


def test_before_the_first_audit_there_is_a_page_too(server: Any, login: dict[str, str]) -> None:
    answer = server.get("/gate/", headers=login)
    assert answer.status_code == 200
    assert "Nothing was audited yet" in answer.text


@pytest.mark.parametrize("path", PATHS[1:])
def test_what_is_no_report_is_a_plain_page_that_says_so(server: Any, login: dict[str, str], path: str) -> None:
    lake_dir = load_settings().lake_dir
    keep("Landing of events 2026-01-05")
    for outside in (lake_dir.parent, lake_dir.parent.parent):
        (outside / "secret.json").write_text('{"salt": "secret"}')
    answer = server.get(path, headers=login)
    assert answer.status_code == 404
    assert "There is no such report" in answer.text
