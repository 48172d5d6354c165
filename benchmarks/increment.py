"""What one more day costs after a month and after a year of history.

    python -m benchmarks.increment --users 2000 [--json]

The same product lives on; each measured day is a process of its own. What reads events (staging, intermediate and the
facts of restated days) should cost the same whatever came before; what is rebuilt whole, the tests, and the copy of the
release grow with history and are reported apart.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from simulator.api_server import serving
from simulator.logs import write_day
from simulator.product import Product
from simulator.warehouse import write_days

LAUNCH = date(2026, 1, 5)
MEASURED = {"day 30": (30, 31, 32), "day 365": (363, 364, 365)}
ONE_DAY = """
import json, sys, time
from datetime import date
from pathlib import Path
from liftoff import flow
from liftoff.plan import Window
from storage.settings import load_settings

window = Window(*map(date.fromisoformat, sys.argv[1:]))
seconds = {}
def timed(name, step, *arguments):
    started = time.perf_counter()
    result = step(*arguments)
    seconds[name] = seconds.get(name, 0) + time.perf_counter() - started
    return result

for land in (flow.land_events, flow.land_extracts, flow.land_market_data):
    timed("landing", land, window)
candidate = timed("copy of the release", flow.prepare)
timed("transform", flow.transform, candidate)
timed("audit", flow.audit, candidate)
timed("publish", flow.publish, candidate)

folder = load_settings().data_dir / "dbt" / candidate
nodes = json.loads((folder / "manifest.json").read_text())["nodes"]
kinds = {"view": "staging and intermediate", "incremental": "facts of restated days", "table": "rebuilt whole"}
for result in json.loads((folder / "run_results.json").read_text())["results"]:
    node = nodes[result["unique_id"]]
    kind = "tests" if node["resource_type"] == "test" else kinds[node["config"]["materialized"]]
    if node["name"].startswith("int_"):
        kind = kinds["view"]
    seconds[kind] = seconds.get(kind, 0) + result["execution_time"]
    seconds["transform"] -= result["execution_time"]
seconds["dbt itself"] = seconds.pop("transform")
seconds["release MB"] = (load_settings().data_dir / "warehouse/current/liftoff.duckdb").stat().st_size / 2**20
print(json.dumps(seconds))
"""


def main(
    users: Annotated[int, typer.Option(help="Sign-ups in the first 60 days.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,  # noqa: FBT002
) -> None:
    """Live for a year, and measure three days after a month and three at its end."""
    console = Console(stderr=True)
    product = Product(users=users, launch_date=LAUNCH, story="launch")
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="liftoff-bench-") as folder, serving() as url:
        settings = {
            "LIFTOFF_DATA_DIR": f"{folder}/data",
            "LIFTOFF_EVENTS_DIR": f"{folder}/events",
            "LIFTOFF_WAREHOUSE_URI": f"{folder}/warehouse.duckdb",
            "LIFTOFF_WORLD_BANK_URL": url,
            "LIFTOFF_FX_URL": url,
        }
        done = 0
        for name, numbers in MEASURED.items():
            console.log(f"days {done} to {numbers[0] - 1}")
            live(product, range(done, numbers[-1] + 1), Path(folder))
            load(done, numbers[0] - 1, settings)
            runs = [load(number, number, settings) for number in numbers]
            measured[name] = {key: statistics.median(run.get(key, 0) for run in runs) for key in runs[0]}
            done = numbers[-1] + 1
    first, last = measured.values()
    if as_json:
        print(json.dumps(measured, indent=1))
        return
    table = Table(
        "seconds, median of 3 days", *measured, "ratio", title=f"One more day of a product of {users:,} users"
    )
    for key in first:
        table.add_row(key, f"{first[key]:.2f}", f"{last[key]:.2f}", f"{last[key] / first[key]:.2f}")
    Console().print(table)


def live(product: Product, numbers: Iterable[int], folder: Path) -> None:
    """What the product leaves behind on these days."""
    days = [LAUNCH + timedelta(days=number) for number in numbers]
    for day in days:
        write_day(product, day, folder / "events")
    write_days(product, days, folder / "warehouse.duckdb")


def load(first: int, last: int, settings: dict[str, str]) -> dict[str, float]:
    """Load a window in a process of its own. Returns seconds by what they were spent on."""
    window = [str(LAUNCH + timedelta(days=number)) for number in (first, last)]
    run = subprocess.run(
        [sys.executable, "-c", ONE_DAY, *window],
        env=os.environ | settings,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    seconds: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return seconds


if __name__ == "__main__":
    typer.run(main)
