"""The gate's reports in Airflow's own server."""

import ast
from typing import Any
from urllib.parse import unquote, urljoin
from xml.etree import ElementTree as ET

import pytest

from liftoff import records
from quality.report import CheckResult, Report
from storage.days import now
from storage.files import new_id
from storage.settings import PROJECT_DIR, load_settings

LOADED = [*sorted((PROJECT_DIR / "plugins").glob("*.py")), PROJECT_DIR / "liftoff" / "airflow_pages.py"]
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


def test_a_forged_login_is_refused(server: Any) -> None:
    assert server.get("/gate/", headers={"Authorization": "Bearer forged"}).status_code == 403


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


def test_a_page_may_run_nothing_and_be_framed_by_airflow_alone(server: Any, login: dict[str, str]) -> None:
    for headers in ({}, login):
        answer = server.get("/gate/", headers=headers)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'self'" in policy
        assert "x-frame-options" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


def test_the_entry_in_the_navigation_leads_to_the_pages(server: Any, login: dict[str, str]) -> None:
    plugins = server.get("/api/v2/plugins", headers=login).json()["plugins"]
    (view,) = next(plugin for plugin in plugins if plugin["name"] == "gate_report")["external_views"]
    assert (view["name"], view["destination"], view["nav_top_level"]) == ("Gate", "nav", True)
    assert view["url_route"], "without it the UI opens a new tab instead of a frame"
    assert urljoin("http://host/airflow/", view["href"]).startswith("http://host/airflow/"), "Airflow may lie below /"
    answer = server.get(urljoin("/", view["href"]), headers=login)
    assert "<title>Gate report</title>" in answer.text
    for icon in (view["icon"], view["icon_dark_mode"]):
        kind, _, svg = icon.partition(",")
        assert kind == "data:image/svg+xml"
        assert ET.fromstring(unquote(svg)).tag.endswith("svg")  # noqa: S314 - our own


@pytest.mark.parametrize("path", LOADED, ids=lambda path: path.stem)
def test_loading_a_plugin_costs_scheduler_and_dag_processor_nothing(path: Any) -> None:
    modules = set()
    for node in ast.parse(path.read_text()).body:
        modules |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        modules |= {node.module or "."} if isinstance(node, ast.ImportFrom) else set()
    dear = modules - {"functools", "typing", "urllib.parse", "airflow.plugins_manager", "liftoff"}
    assert not dear, f"{path.name} imports {dear}: import it in the function that needs it"
