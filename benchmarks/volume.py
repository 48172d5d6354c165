"""A first load of very many events in one window: how long each stage takes, and how much memory at most.

    python -m benchmarks.volume --events 100000000

60 days, on a disk with 600 bytes for each event: logs, lake, what sorting spills, and the release. DuckDB may use 2 GB;
what Python and dbt need comes on top.
"""

import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.load import BARE, measure, sources
from simulator.api_server import serving
from simulator.logs import write_day
from simulator.product import Product
from simulator.warehouse import write_days

LAUNCH, DAYS = date(2026, 1, 5), 60
EVENTS_OF_A_USER = 180
"""Within those days, as the demo's logs have them."""


def main(
    events: Annotated[int, typer.Option(help="How many, about.")] = 100_000_000,
    workers: Annotated[int, typer.Option(help="Processes that simulate side by side.")] = 2,
    memory: Annotated[str, typer.Option(help="What DuckDB may use of it.")] = "2GB",
    logs: Annotated[
        Path | None, typer.Option(envvar="BENCH_LOGS", help="A folder of such logs, kept from another run or for one.")
    ] = None,
) -> None:
    """Simulate once, then load and publish all of it as one window."""
    product = Product(users=events // EVENTS_OF_A_USER, launch_date=LAUNCH)
    days = [LAUNCH + timedelta(days=number) for number in range(DAYS)]
    with tempfile.TemporaryDirectory(prefix="liftoff-bench-") as folder, serving() as services_url:
        logs = logs or Path(folder)
        source = sources(logs, services_url) | {"LIFTOFF_DUCKDB_MEMORY_LIMIT": memory}
        counted = logs / f"lines of {events}"
        if not counted.exists():
            with ProcessPoolExecutor(workers) as pool:
                lines = sum(pool.map(partial(write_day, product, events_dir=logs / "events"), days))
            write_days(product, days, source["LIFTOFF_WAREHOUSE_URI"])
            counted.write_text(str(lines))
        lines = int(counted.read_text())
        command = [sys.executable, "-c", BARE, str(days[0]), str(days[-1])]
        run = measure(command, Path(folder) / "data", source)
    table = Table(title=f"{lines:,} log lines of {DAYS} days in one window", title_justify="left", box=None)
    for name in ("", "wall s", "cpu s", "peak MB"):
        table.add_column(name, justify="right" if name else "left")
    for name, (wall, cpu) in json.loads(str(run["output"])).items():
        table.add_row(f"  {name}", f"{wall:.0f}", f"{cpu:.0f}", "")
    table.add_row("loaded and published", *(f"{float(run[name]):,.0f}" for name in ("wall", "cpu", "peak_mb")))
    Console().print(table, f"\n{lines / float(run['wall']):,.0f} lines a second from log files to a published release.")


if __name__ == "__main__":
    typer.run(main)
