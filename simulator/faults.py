"""Ways for an HTTP API to fail, switched on and off while it runs: `python -m simulator.faults --help`."""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum

import anyio
import httpx
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Kind(StrEnum):
    """The ways to fail. The first five are ways of any server; the others are up to the API that answers."""

    STATUS = "status"  # 429, 500, 503, ...
    SLOW = "slow"  # the right answer, `seconds` late
    CUT_OFF = "cut_off"  # the connection is closed in mid-body
    TRUNCATED = "truncated"  # half of the body, in a response that is complete for HTTP
    NOT_JSON = "not_json"  # a page of HTML with status 200
    ERROR_IN_200 = "error_in_200"
    TOO_MANY_PAGES = "too_many_pages"
    TOO_FEW_PAGES = "too_few_pages"
    WRONG_TOTAL = "wrong_total"
    NO_ROWS = "no_rows"
    DUPLICATE_ROW = "duplicate_row"
    MISSING_KEY = "missing_key"
    UPDATED = "updated"  # no failure: there is newer data than before


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


def main() -> None:
    """Switch a fault of a running stand-in on, or all off, and say which are on."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.faults",
        description="Let the stand-in of the third-party services fail. Without arguments: which faults are on.",
    )
    parser.add_argument("kind", nargs="?", choices=[*Kind, "off"], help="how to fail; off ends all faults")
    parser.add_argument("path", nargs="?", default="/", help="what fails: /v1 (rates), /v2 (World Bank), or longer")
    parser.add_argument("--times", type=int, help="so many requests; else until it is switched off")
    parser.add_argument("--status", type=int, help="of the kind status, 503 unless it is given")
    parser.add_argument("--seconds", type=float, help="that slow waits, or that a status asks the client to wait")
    parser.add_argument("--url", default="http://127.0.0.1:8090", help="where it runs (%(default)s)")
    given = vars(parser.parse_args())
    url, kind = f"{given.pop('url')}/_faults", given["kind"]
    fault = {name: value for name, value in given.items() if value is not None}
    try:
        with httpx.Client(trust_env=False) as client:
            if kind is None:
                answer = client.get(url)
            else:
                answer = client.delete(url) if kind == "off" else client.put(url, json=fault)
            faults = answer.raise_for_status().json()
    except httpx.HTTPStatusError as error:
        sys.exit(f"That is no fault: {error.response.text}")
    except httpx.TransportError as error:
        sys.exit(f"No stand-in answers at {url}: {error}")
    for one in faults or ["No fault is on."]:
        print(one)  # noqa: T201


if __name__ == "__main__":
    main()
