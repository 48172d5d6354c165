"""The latest profile of the sources in Airflow's navigation, behind Airflow's login.

Scheduler and DAG processor load this file too, and the API server alone asks for the app: what it needs is imported
when it is made.
"""

from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote

from airflow.plugins_manager import AirflowPlugin

# The pages need nothing of what this forbids: even unescaped, what a device sent could neither run nor fetch.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
NOTICES = {
    401: ("You are not logged in", "Log in to Airflow, then open this page again."),
    403: ("Your login is no longer valid", "Log in to Airflow again, then open this page again."),
    404: ("There is no such profile", "The last ones are kept. Open Sources again."),
}
NOTHING_YET = (
    "Nothing was profiled yet",
    "Trigger the DAG explore_sources with its form left empty: it looks at all that has landed, as on each Monday.",
)


def icon(stroke: str) -> str:
    """A magnifying glass over bars, as an address that needs no request."""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{stroke}" stroke-width="2" '
        'stroke-linecap="round" stroke-linejoin="round"><circle cx="10.5" cy="10.5" r="7"/><path d="M15.7 15.7l4.8 4.8'
        'M7.8 12.8v-2.3M10.5 12.8V7.6M13.2 12.8v-3.6"/></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"


def make_app() -> Any:
    """The FastAPI app: `/` is the latest profile, `/<profile_id>` one that is kept. Without login all answer 401."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.responses import HTMLResponse

    from quality.profile.kept import pages
    from quality.profile.page import render_notice
    from storage.settings import load_settings

    app = FastAPI(title="Source profile", openapi_url=None, dependencies=[Depends(get_user)])

    def answer(html: str, status: int = 200) -> HTMLResponse:
        return HTMLResponse(html, status, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    def notice(_: Request, error: Any) -> HTMLResponse:
        return answer(render_notice(*NOTICES[error.status_code]), error.status_code)

    for status in NOTICES:
        app.add_exception_handler(status, notice)

    @app.get("/")
    def latest() -> HTMLResponse:
        kept = list(pages(load_settings().lake_dir).values())
        return answer(kept[0].read_text(encoding="utf-8") if kept else render_notice(*NOTHING_YET))

    @app.get("/{profile_id:path}")
    def one(profile_id: str) -> HTMLResponse:
        path = pages(load_settings().lake_dir).get(profile_id)
        if path is None:
            raise HTTPException(404)
        return answer(path.read_text(encoding="utf-8"))

    return app


class SourceProfile(AirflowPlugin):  # type: ignore[misc] # Airflow is not type-checked
    """Mounts the pages at `/sources`, and shows them in a frame of the UI."""

    name = "source_profile"
    external_views: ClassVar = [
        {
            "name": "Sources",  # the navigation cuts off longer names
            "href": "sources/",  # below whatever path Airflow is served at
            "url_route": "source-profile",
            "destination": "nav",
            "nav_top_level": True,
            # In the colours of Airflow's own icons.
            "icon": icon("#3f5876"),
            "icon_dark_mode": icon("#a4afbc"),
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """Made when the API server asks for it."""
        return [{"app": make_app(), "url_prefix": "/sources", "name": "Source profile"}]
