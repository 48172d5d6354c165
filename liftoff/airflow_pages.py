"""Pages in Airflow's navigation, behind its login.

Scheduler and DAG processor load the plugins too, and the API server alone asks for their apps: what an app needs is
imported when it is made.
"""

from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote

from airflow.plugins_manager import AirflowPlugin

# The pages need nothing of what this forbids: even unescaped, what a device sent could neither run nor fetch.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}


class Pages(AirflowPlugin):  # type: ignore[misc] # Airflow is not type-checked
    """A plugin that mounts pages at `/<path>`, and shows them in a frame of the UI.

    A plugin's module must not import this class by its name: Airflow takes each plugin in a module for one of its own.
    """

    title: ClassVar[str]
    label: ClassVar[str]
    """In the navigation, which cuts off all but short names."""
    path: ClassVar[str]
    drawing: ClassVar[str]
    """The icon: what an SVG of 24 by 24 holds, drawn in lines."""
    fill: ClassVar[str] = "none"
    """The inside of the icon in the light theme, in which the chosen entry is dark."""
    not_found: ClassVar[tuple[str, str]]
    """What is said where there is no such page: the matter, and what to do."""

    def latest(self) -> str:
        """The page to see first."""
        raise NotImplementedError

    def page_of(self, page_id: str) -> str | None:
        """One of the pages, or None when there is none of that id."""
        raise NotImplementedError

    def notice(self, title: str, text: str) -> str:
        """A page that says what is the matter, and what to do."""
        raise NotImplementedError

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:
        """The entry in the navigation, in the colours of Airflow's own icons."""
        return [
            {
                "name": self.label,
                "href": f"{self.path}/",  # below whatever path Airflow is served at
                "url_route": self.name.replace("_", "-"),
                "destination": "nav",
                "nav_top_level": True,
                "icon": self._icon("#3f5876", self.fill),
                "icon_dark_mode": self._icon("#a4afbc", "none"),
            }
        ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """Made when the API server asks for it."""
        return [{"app": self._app(), "url_prefix": f"/{self.path}", "name": self.title}]

    def _icon(self, stroke: str, fill: str) -> str:
        """An address that needs no request."""
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="{fill}" stroke="{stroke}" '
            f'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{self.drawing}</svg>'
        )
        return f"data:image/svg+xml,{quote(svg)}"

    def _app(self) -> Any:
        """The FastAPI app: `/` is the page to see first, `/<id>` one of them. Without login, every path answers 401."""
        from airflow.api_fastapi.core_api.security import get_user  # noqa: PLC0415 - the server alone needs these
        from fastapi import Depends, FastAPI, HTTPException, Request  # noqa: PLC0415
        from fastapi.responses import HTMLResponse  # noqa: PLC0415

        app = FastAPI(title=self.title, openapi_url=None, dependencies=[Depends(get_user)])
        notices = {
            401: ("You are not logged in", "Log in to Airflow, then open this page again."),
            403: ("Your login is no longer valid", "Log in to Airflow again, then open this page again."),
            404: self.not_found,
        }

        def notice(_: Request, error: Any) -> HTMLResponse:
            return HTMLResponse(self.notice(*notices[error.status_code]), error.status_code, HEADERS)

        for status in notices:
            app.add_exception_handler(status, notice)

        @app.get("/")
        def latest() -> HTMLResponse:
            return HTMLResponse(self.latest(), headers=HEADERS)

        @app.get("/{page_id:path}")
        def one(page_id: str) -> HTMLResponse:
            html = self.page_of(page_id)
            if html is None:
                raise HTTPException(404)
            return HTMLResponse(html, headers=HEADERS)

        return app
