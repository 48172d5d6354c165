"""What holds for each of our pages in Airflow's navigation, whatever it shows."""

import ast
from typing import Any
from urllib.parse import unquote, urljoin
from xml.etree import ElementTree as ET

import pytest

from storage.settings import PROJECT_DIR

PAGES = {"gate_report": ("Gate", "gate", "Gate report"), "source_profile": ("Sources", "sources", "Source profile")}
LOADED = [*sorted((PROJECT_DIR / "plugins").glob("*.py")), PROJECT_DIR / "liftoff" / "airflow_pages.py"]


def test_every_plugin_is_looked_at_here() -> None:
    assert PAGES.keys() == {path.stem for path in (PROJECT_DIR / "plugins").glob("*.py")}


@pytest.mark.parametrize("plugin", PAGES)
def test_a_forged_login_is_refused(server: Any, plugin: str) -> None:
    _, path, _ = PAGES[plugin]
    assert server.get(f"/{path}/", headers={"Authorization": "Bearer forged"}).status_code == 403


@pytest.mark.parametrize("plugin", PAGES)
def test_a_page_may_run_nothing_and_be_framed_by_airflow_alone(server: Any, login: dict[str, str], plugin: str) -> None:
    _, path, _ = PAGES[plugin]
    for headers in ({}, login):
        answer = server.get(f"/{path}/", headers=headers)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'self'" in policy
        assert "x-frame-options" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("plugin", PAGES)
def test_the_entry_in_the_navigation_leads_to_the_pages(server: Any, login: dict[str, str], plugin: str) -> None:
    label, _, title = PAGES[plugin]
    plugins = server.get("/api/v2/plugins", headers=login).json()["plugins"]
    (view,) = next(one for one in plugins if one["name"] == plugin)["external_views"]
    assert (view["name"], view["destination"], view["nav_top_level"]) == (label, "nav", True)
    assert view["url_route"], "without it the UI opens a new tab instead of a frame"
    assert urljoin("http://host/airflow/", view["href"]).startswith("http://host/airflow/"), "Airflow may lie below /"
    answer = server.get(urljoin("/", view["href"]), headers=login)
    assert f"<title>{title}</title>" in answer.text
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
