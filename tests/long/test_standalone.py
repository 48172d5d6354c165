"""`make airflow`: all of Airflow on this machine, used through its REST interface as its UI would."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from simulator.source import open_product
from simulator.verdict import compare
from storage.days import yesterday
from storage.settings import Settings, load_settings
from storage.warehouse import Warehouse

DAYS = 3


def wait_for(what: str, look: Callable[[], Any], *, seconds: int) -> Any:
    """What `look` returns, once it is true; a server that does not answer yet is waited for."""
    last: Any = None
    for _ in range(seconds):
        try:
            if last := look():
                return last
        except httpx.TransportError as error:
            last = error
        time.sleep(1)
    pytest.fail(f"waited {seconds} s for {what}; last seen: {last}")


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The address and the folder of a platform of a small product, launched three days ago. No service was chosen."""
    monkeypatch.delenv("LIFTOFF_WORLD_BANK_URL")
    monkeypatch.delenv("LIFTOFF_FX_URL")
    folder = tmp_path / "data" / "standalone"
    (folder / "secrets").mkdir(parents=True)
    launch = yesterday() - timedelta(days=DAYS - 1)
    (folder / "secrets" / "liftoff_launch_date").write_text(str(launch))
    open_product(folder / "source", launch, users=1_000)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with (tmp_path / "output").open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "liftoff.standalone"],
            env={**os.environ, "LIFTOFF_UI_PORT": port},
            stdout=output,
            stderr=output,
        )
        yield f"http://127.0.0.1:{port}", folder
        started = process.children(recursive=True)
        process.send_signal(signal.SIGINT)  # as Ctrl-C does
        process.wait(60)
        assert len(started) >= 5
        left = [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert not left, f"these outlived Ctrl-C: {left}"


def test_the_empty_form_of_load_window_publishes_a_release_and_ctrl_c_ends_it_all(
    platform: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = platform
    health = f"{address}/api/v2/monitor/health"
    wait_for(
        "scheduler and dag-processor",
        lambda: all(part["status"] == "healthy" for part in httpx.get(health).json().values()),
        seconds=150,
    )
    assert httpx.get(f"{address}/api/v2/dags").status_code == 401
    password = json.loads((folder / "secrets" / "ui_passwords.json").read_text())["admin"]
    token = httpx.post(f"{address}/auth/token", json={"username": "admin", "password": password}).json()
    api = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token['access_token']}"}, timeout=30)
    wait_for("the DAG", lambda: api.get("/api/v2/dags/load_window").is_success, seconds=60)

    asked = api.post("/api/v2/dags/load_window/dagRuns", json={"logical_date": None, "conf": {}}).json()
    run = f"/api/v2/dags/load_window/dagRuns/{asked['dag_run_id']}"
    ended = wait_for(
        "the run", lambda: (state := api.get(run).json()["state"]) in {"success", "failed"} and state, seconds=150
    )
    assert ended == "success"
    assert "Build " in api.get("/gate/").text, "the navigation's page shows the audit of the build"

    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(folder))
    monkeypatch.setenv("LIFTOFF_SECRETS_DIR", str(folder / "secrets"))
    settings: Settings = load_settings()
    release = Warehouse(settings.warehouse_dir, releases_kept=5).current()
    assert (release.manifest.launch_date, release.manifest.last_date) == (settings.launch_date, yesterday())
    said = (folder.parent.parent / "output").read_text()
    assert " LIFTOFF_FX_URL=http://127.0.0.1:" in said, "a run from the command line asks the stand-in, too"
    for verdict in compare(release.database, folder / "source" / "truth" / "knowable"):
        assert verdict.differences.empty, f"{verdict.name}:\n{verdict.differences.head(10).to_string()}"
