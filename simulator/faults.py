"""Ways for an HTTP API to fail, switched on and off while it runs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.switch import Kind


class Fault(BaseModel, extra="forbid"):
    """One way to fail, for requests whose path starts with `path` and that have the parameters of `query`."""

    path: str
    kind: Kind
    query: dict[str, str] = {}
    times: int | None = Field(None, ge=1)  # requests; None: until cleared
    status: int = Field(503, ge=400, le=599)  # of STATUS
    seconds: float | None = Field(None, ge=0)  # that SLOW waits, or that the Retry-After of STATUS asks for
    http_date: bool = False  # Retry-After as a date instead of seconds


@dataclass
class Switchboard:
    """The faults that are on, and how many requests each path had."""

    faults: list[Fault] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)

    def next_fault(self, path: str, query: Mapping[str, str]) -> Fault | None:
        """The fault of this request: the oldest that fits, but those that end by themselves before the lasting ones."""
        fitting = [one for one in self.faults if path.startswith(one.path) and one.query.items() <= query.items()]
        fault = min(fitting, key=lambda one: one.times is None, default=None)
        if fault and fault.times:
            fault.times -= 1
            if not fault.times:
                self.faults.remove(fault)
        return fault


class Failing:
    """An ASGI app that fails as its switchboard says, and else is the app that it wraps.

    Faults that are up to the API are handed to it as `scope["fault"]`. Paths that start with `/_` never fail.
    """

    def __init__(self, app: ASGIApp, switchboard: Switchboard) -> None:
        self.app = app
        self.switchboard = switchboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/_"):
            await self.app(scope, receive, send)
            return
        self.switchboard.requests[scope["path"]] += 1
        scope["fault"] = fault = self.switchboard.next_fault(scope["path"], dict(QueryParams(scope["query_string"])))
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind == Kind.STATUS:
            await PlainTextResponse("Try again later.", fault.status, _retry_after(fault))(scope, receive, send)
        elif fault.kind == Kind.NOT_JSON:
            await HTMLResponse("<html><body><h1>Down for maintenance</h1></body></html>")(scope, receive, send)
        elif fault.kind in {Kind.CUT_OFF, Kind.TRUNCATED}:
            await self.app(scope, receive, _half(send, is_complete=fault.kind == Kind.TRUNCATED))
        else:
            await anyio.sleep(fault.seconds or 0 if fault.kind == Kind.SLOW else 0)
            await self.app(scope, receive, send)


def _retry_after(fault: Fault) -> dict[str, str]:
    if fault.seconds is None:
        return {}
    if fault.http_date:
        return {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=fault.seconds), usegmt=True)}
    return {"Retry-After": f"{fault.seconds:.0f}"}


def _half(send: Send, *, is_complete: bool) -> Send:
    """Send the first half of a body; an incomplete response makes the server close the connection."""
    start: Message = {}

    async def send_half(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body = message["body"][: len(message["body"]) // 2]
        if is_complete:
            MutableHeaders(scope=start)["Content-Length"] = str(len(body))
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": not is_complete})

    return send_half
