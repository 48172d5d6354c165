"""What asking the third-party services takes, against the sum of its round trips.

    python -m benchmarks.services [--delay 0.3] [--runs 3] [--json]

The stand-in runs in a process of its own and waits `delay` seconds before each answer.
"""

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from ingestion.api import stage_market_data
from ingestion.services import AT_ONCE
from storage.lake import Lake
from storage.settings import Settings

DAY = date(2026, 3, 5)
QUIET = subprocess.DEVNULL


def main(
    delay: Annotated[float, typer.Option(help="Seconds before each answer.")] = 0.3,
    runs: Annotated[int, typer.Option(help="The median counts.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,  # noqa: FBT002
) -> None:
    """Land everything into an empty lake, then ask again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "simulator.api_server", "--port", str(port)], stdout=QUIET, stderr=QUIET
    )
    try:
        results = [_run(f"http://127.0.0.1:{port}", delay) for _ in range(runs)]
    finally:
        server.terminate()
        server.wait(20)
    medians = {name: statistics.median(result[name] for result in results) for name in results[0]}
    if as_json:
        print(json.dumps(medians, indent=1))
        return
    table = Table("", title=f"{delay} s before each answer, at most {AT_ONCE} at once, median of {runs}")
    for heading in ("requests", "sum of round trips s", "elapsed s", "of the sum"):
        table.add_column(heading, justify="right")
    for which in ("first", "again"):
        requests, elapsed = medians[f"{which}_requests"], medians[f"{which}_seconds"]
        trips = requests * delay
        table.add_row(which, f"{requests:.0f}", f"{trips:.1f}", f"{elapsed:.1f}", f"{elapsed / trips:.0%}")
    Console().print(table)


def _run(url: str, delay: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, httpx.Client(base_url=url) as http:
        settings = Settings(data_dir=Path(folder), world_bank_url=url, fx_url=url)
        lake = Lake(settings.lake_dir)
        _wait_for(http)
        stage_market_data(settings, lake, DAY)  # the stand-in works its answers out once
        http.delete("/_faults")
        for path in ("/v1", "/v2"):
            http.put("/_faults", json={"path": path, "kind": "slow", "seconds": delay}).raise_for_status()
        result = {}
        for which in ("first", "again"):
            http.delete("/_requests")
            start = time.perf_counter()
            for outcome in stage_market_data(settings, lake, DAY):
                assert outcome.status == ("staged" if which == "first" else "unchanged"), outcome
                if outcome.status == "staged":
                    lake.accept(outcome)
            result[f"{which}_seconds"] = time.perf_counter() - start
            result[f"{which}_requests"] = float(sum(http.get("/_requests").json().values()))
        http.delete("/_faults")
        return result


def _wait_for(http: httpx.Client) -> None:
    for _ in range(100):
        with suppress(httpx.TransportError):
            http.get("/_faults")
            return
        time.sleep(0.1)
    raise SystemExit("The stand-in did not start.")


if __name__ == "__main__":
    typer.run(main)
