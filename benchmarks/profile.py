"""The profile of the demo's sources, 60 days of them: the whole process, with its page and its comparison.

    python -m benchmarks.profile [--users 6000] [--runs 3] [--json]

Simulates and lands once; each run is a process of its own. Prints medians.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.load import FIRST, LAST, measure, sources
from simulator.api_server import serving
from simulator.product import DEMO_USERS

LAND = """
import sys
from datetime import date
from liftoff import intake
from liftoff.plan import Window
window = Window(date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2]))
for land in (intake.land_events, intake.land_extracts, intake.land_market_data):
    land(window)
"""


def main() -> None:
    """Land once, then profile again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=DEMO_USERS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    liftoff = str(Path(sys.executable).with_name("liftoff"))
    with tempfile.TemporaryDirectory(prefix="liftoff-bench-") as folder, serving() as services_url:
        data = Path(folder)
        source = sources(data / "source", services_url)
        measure([liftoff, "simulate", "--users", str(arguments.users)], data, {})
        measure([sys.executable, "-c", LAND, FIRST, LAST], data, source)
        runs = [measure([liftoff, "profile", "--json"], data, source) for _ in range(arguments.runs + 1)]
    tables = json.loads(str(runs[-1]["output"]))["tables"]
    figures = {
        "rows": sum(table["rows"] for table in tables),
        "mb": sum(day["bytes"] for table in tables for day in table["days"]) / 1e6,
        **{name: statistics.median(float(run[name]) for run in runs[1:]) for name in ("wall", "cpu", "peak_mb")},
    }
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    table = Table(title=f"{FIRST} to {LAST}, median of {arguments.runs}", title_justify="left", box=None)
    for name in ("tables", "rows", "in the lake MB", "wall s", "cpu s", "peak MB"):
        table.add_column(name, justify="right")
    table.add_row(
        str(len(tables)),
        f"{figures['rows']:,.0f}",
        *(f"{figures[name]:.1f}" for name in ("mb", "wall", "cpu")),
        f"{figures['peak_mb']:.0f}",
    )
    Console().print(table)


if __name__ == "__main__":
    main()
