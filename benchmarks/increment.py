"""What one more day costs after a month and after a year of history.

    python -m benchmarks.increment --users 2000 [--json]

Two products, one a month old and one a year: as a product keeps gaining users, the younger one is made larger, so that
their days are of one size. Each measured day is a process of its own, in turns. What reads events (staging,
intermediate and the facts of restated days) should cost the same in both; what is rebuilt whole, the tests, and the
copy of the release grow with history and are reported apart.
"""

import json
import statistics
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.load import measure, sources
from simulator.api_server import serving
from simulator.logs import write_day
from simulator.product import Product
from simulator.warehouse import write_days

LAUNCH = date(2025, 1, 6)  # so that all of its days are over: the stand-in knows no rates of the future
YOUNGER, OLDER = "day 30", "day 365"
AGES = {YOUNGER: 30, OLDER: 365}
MEASURED_DAYS = 3
ONE_DAY = """
import json, sys, time
from datetime import date
import duckdb
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
kinds = {"view": "staging of what is read whole", "incremental": "facts of restated days", "table": "rebuilt whole"}
of_events = ("stg_events__", "int_event__", "int_playback__", "int_session__")
for result in json.loads((folder / "run_results.json").read_text())["results"]:
    node = nodes[result["unique_id"]]
    kind = "tests" if node["resource_type"] == "test" else kinds[node["config"]["materialized"]]
    if node["name"].startswith(of_events):
        kind = "staging of events"
    seconds[kind] = seconds.get(kind, 0) + result["execution_time"]
    seconds["transform"] -= result["execution_time"]
seconds["dbt itself"] = seconds.pop("transform")
with duckdb.connect(str(load_settings().data_dir / "warehouse/current/liftoff.duckdb"), read_only=True) as release:
    [(events,)] = release.execute(
        "select sum(event_count) from fct_activity_hour where activity_date = ?", [window.end]
    ).fetchall()
seconds["thousand events"] = events / 1_000
seconds["release MB"] = (load_settings().data_dir / "warehouse/current/liftoff.duckdb").stat().st_size / 2**20
print(json.dumps(seconds))
"""


def main(
    users: Annotated[int, typer.Option(help="Sign-ups in the first 60 days of the older product.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,  # noqa: FBT002
) -> None:
    """Live for a month and for a year, and measure the three days after."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="liftoff-bench-") as folder, serving() as url:
        lines = {
            name: write_day(product_of(users), LAUNCH + timedelta(age), Path(folder) / "size")
            for name, age in AGES.items()
        }
        growth = lines[OLDER] / lines[YOUNGER]
        console.log(f"a day has {growth:.2f} times as many events after a year as after a month")
        products = {YOUNGER: product_of(round(users * growth)), OLDER: product_of(users)}
        places = {}
        for name, age in AGES.items():
            console.log(f"{name}: {age} days in one window")
            home = Path(folder) / name
            live(products[name], age + MEASURED_DAYS, home)
            places[name] = home / "data", sources(home, url) | {"LIFTOFF_LAUNCH_DATE": str(LAUNCH)}
            load(0, age - 1, *places[name])
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in AGES}
        for number in range(MEASURED_DAYS):
            for name, age in AGES.items():
                runs[name].append(load(age + number, age + number, *places[name]))
    measured = {
        name: {key: statistics.median(run.get(key, 0) for run in of) for key in of[0]} for name, of in runs.items()
    }
    first, last = measured.values()
    if as_json:
        print(json.dumps(measured, indent=1))
        return
    table = Table("seconds, median of 3 days", *measured, "ratio", title="One more day, of as many events")
    for key in first:
        table.add_row(key, f"{first[key]:.2f}", f"{last[key]:.2f}", f"{last[key] / first[key]:.2f}")
    Console().print(table)


def product_of(users: int) -> Product:
    """One of that size."""
    return Product(users=users, launch_date=LAUNCH, story="launch")


def live(product: Product, count: int, folder: Path) -> None:
    """What the product leaves behind on its first days."""
    days = [LAUNCH + timedelta(days=number) for number in range(count)]
    for day in days:
        write_day(product, day, folder / "events")
    write_days(product, days, folder / "warehouse.duckdb")


def load(first: int, last: int, data_dir: Path, source: dict[str, str]) -> dict[str, float]:
    """Load a window in a process of its own. Returns seconds by what they were spent on."""
    window = [str(LAUNCH + timedelta(days=number)) for number in (first, last)]
    run = measure([sys.executable, "-c", ONE_DAY, *window], data_dir, source)
    seconds: dict[str, float] = json.loads(str(run["output"]))
    return seconds


if __name__ == "__main__":
    typer.run(main)
