"""The stand-in for the third-party APIs: real public contracts on one port, and it fails when told to.

`PUT /_faults` with a `simulator.faults.Fault` switches a failure on, `GET` lists and `DELETE` clears them (from a
shell: `python -m simulator.switch`); `GET /_requests` tells how many requests each path had. Nothing is kept: a restart
serves the same data, without faults.
"""

import argparse
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import uvicorn
from fastapi import APIRouter, FastAPI, Request

from simulator import frankfurter, world_bank
from simulator.faults import Failing, Fault, Switchboard

control = APIRouter()


def utc_now() -> datetime:
    """The time by which the newest rates are chosen."""
    return datetime.now(UTC)


def create_app(now: Callable[[], datetime] = utc_now) -> FastAPI:
    """Both APIs, with no fault switched on."""
    app = FastAPI(title="Third-party APIs, simulated", docs_url=None, redoc_url=None)
    app.state.now = now
    app.state.switchboard = Switchboard()
    app.add_middleware(Failing, switchboard=app.state.switchboard)
    for router in (world_bank.router, frankfurter.router, control):
        app.include_router(router)
    return app


@contextmanager
def serving(app: FastAPI | None = None, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve `app`, or one without faults, in a thread, on a free port unless `port` is given, and yield the URL.

    Raises:
        OSError: the port is taken.
    """
    with socket.create_server((host, port)) as listener:
        server = uvicorn.Server(uvicorn.Config(app or create_app(), log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listener],), name="third-party APIs", daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"  # requests wait until it has started
        finally:
            server.should_exit = True
            thread.join()


def variables(url: str) -> dict[str, str]:
    """The environment of a platform that asks this server, whatever proxy it has for the world outside."""
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    return {"LIFTOFF_WORLD_BANK_URL": url, "LIFTOFF_FX_URL": url, "NO_PROXY": direct, "no_proxy": direct}


@control.put("/_faults")
@control.post("/_faults")
def switch_on(request: Request, fault: Fault) -> list[Fault]:
    """Add a fault to those that are on."""
    faults: list[Fault] = request.app.state.switchboard.faults
    faults.append(fault)
    return faults


@control.get("/_faults")
def list_faults(request: Request) -> list[Fault]:
    """The faults that are on, with the times that are left."""
    faults: list[Fault] = request.app.state.switchboard.faults
    return faults


@control.delete("/_faults")
def clear_faults(request: Request) -> list[Fault]:
    """Switch all faults off."""
    faults: list[Fault] = request.app.state.switchboard.faults
    faults.clear()
    return faults


@control.get("/_requests")
def count_requests(request: Request) -> dict[str, int]:
    """How many requests each path had, failed ones included."""
    return dict(request.app.state.switchboard.requests)


@control.delete("/_requests")
def forget_requests(request: Request) -> dict[str, int]:
    """Count from zero again."""
    request.app.state.switchboard.requests.clear()
    return {}


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.api_server", description="The third-party APIs, simulated"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    arguments = parser.parse_args()
    url = f"http://127.0.0.1:{arguments.port}"
    print(f"For a run that asks this server: export LIFTOFF_WORLD_BANK_URL={url} LIFTOFF_FX_URL={url}")  # noqa: T201
    uvicorn.run(create_app(), host=arguments.host, port=arguments.port, timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
