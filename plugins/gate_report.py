"""The gate's reports in Airflow's navigation, behind Airflow's login.

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
    404: ("There is no such report", "Reports are kept as long as what the gate refused. Open Gate again."),
}


def icon(stroke: str, fill: str) -> str:
    """A shield with a tick, as an address that needs no request."""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="{fill}" stroke="{stroke}" stroke-width="2" '
        'stroke-linecap="round" stroke-linejoin="round"><path d="M12 3l7.5 2.8v5.7c0 4.6-3.1 7.7-7.5 9.5-4.4-1.8'
        '-7.5-4.9-7.5-9.5V5.8z"/><path d="M8.8 12l2.3 2.3 4.2-4.6" fill="none"/></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"


def make_app() -> Any:
    """The FastAPI app: `/` is the latest report, `/<gate_id>` one of them. Without login, every path answers 401."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.responses import HTMLResponse

    from quality import page
    from storage.settings import load_settings

    app = FastAPI(title="Gate report", openapi_url=None, dependencies=[Depends(get_user)])

    def answer(html: str, status: int = 200) -> HTMLResponse:
        return HTMLResponse(html, status, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    def notice(_: Request, error: Any) -> HTMLResponse:
        return answer(page.render_notice(*NOTICES[error.status_code]), error.status_code)

    for status in NOTICES:
        app.add_exception_handler(status, notice)

    @app.get("/")
    def latest() -> HTMLResponse:
        return answer(page.latest_page(load_settings()))

    @app.get("/{gate_id:path}")
    def one(gate_id: str) -> HTMLResponse:
        html = page.page_of(load_settings(), gate_id)
        if html is None:
            raise HTTPException(404)
        return answer(html)

    return app


class GateReport(AirflowPlugin):  # type: ignore[misc] # Airflow is not type-checked
    """Mounts the pages at `/gate`, and shows them in a frame of the UI."""

    name = "gate_report"
    external_views: ClassVar = [
        {
            "name": "Gate",  # the navigation cuts off longer names
            "href": "gate/",  # below whatever path Airflow is served at
            "url_route": "gate-report",
            "destination": "nav",
            "nav_top_level": True,
            # In the colours of Airflow's own icons; filled, because the chosen entry of the light theme is dark.
            "icon": icon("#3f5876", "#fff"),
            "icon_dark_mode": icon("#a4afbc", "none"),
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """Made when the API server asks for it."""
        return [{"app": make_app(), "url_prefix": "/gate", "name": "Gate report"}]
