"""What the gate adds to a one-day run of the demo: the same day with the gate and without, in turn.

    python -m benchmarks.gate [--users 6000] [--runs 3] [--json]

Loads 59 days once; each run is a process of its own on a copy of that, which runs load_window for the 60th. Prints
medians; the ratio is taken run by run.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.load import BARE, FIRST, LAST, measure, sources
from simulator.api_server import serving
from simulator.product import DEMO_USERS

DAY_BEFORE = str(date.fromisoformat(LAST) - timedelta(days=1))
WITHOUT = """
from liftoff import records
from liftoff.sources import landed_tables
from quality import gate
from storage.days import now

def pass_all(*_, **__):
    results = [gate.CheckResult(one.name, "none", "passed", 0, "", "") for one in landed_tables()]
    return gate.Report("20260101T000000000Z-00000000", "Nothing", now(), 0, tuple(results))

gate.audit_events = gate.audit_tables = gate.audit_marts = pass_all
records.keep_audit = lambda settings, report: ""
"""
"""Put before a run: nothing is audited and no report is kept."""
RUN = f"""
from liftoff.cli import app
app(["run", "--start", {LAST!r}, "--end", {LAST!r}])
"""


def main() -> None:
    """Load once, then the last day again and again, with and without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=DEMO_USERS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float | str]]] = {"with the gate": [], "without": []}
    with tempfile.TemporaryDirectory(prefix="liftoff-bench-") as folder, serving() as services_url:
        made, loaded = Path(folder) / "made", Path(folder) / "loaded"
        liftoff = str(Path(sys.executable).with_name("liftoff"))
        measure([liftoff, "simulate", "--users", str(arguments.users)], made, {})
        source = sources(made / "source", services_url)
        measure([sys.executable, "-c", BARE, FIRST, DAY_BEFORE], loaded, source)
        for number in range(arguments.runs):
            for (name, measured), code in zip(runs.items(), (RUN, WITHOUT + RUN), strict=True):
                data = Path(shutil.copytree(loaded, Path(folder) / f"{name} {number}", symlinks=True))
                measured.append(measure([sys.executable, "-c", code], data, source))
                shutil.rmtree(data)
    pairs = list(zip(*runs.values(), strict=True))
    figures = {
        name: {unit: statistics.median(float(run[unit]) for run in measured) for unit in ("wall", "cpu", "peak_mb")}
        for name, measured in runs.items()
    } | {
        "added": {
            unit: statistics.median(float(ours[unit]) / float(bare[unit]) - 1 for ours, bare in pairs)
            for unit in ("wall", "cpu")
        }
    }
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    table = Table(title=f"One more day, {LAST}; median of {arguments.runs}", title_justify="left", box=None)
    for column in ("", "wall s", "cpu s", "peak MB"):
        table.add_column(column, justify="right" if column else "left")
    for name in runs:
        table.add_row(
            name, *(f"{figures[name][unit]:.1f}" for unit in ("wall", "cpu")), f"{figures[name]['peak_mb']:.0f}"
        )
    table.add_row("the gate adds", *(f"{figures['added'][unit]:.0%}" for unit in ("wall", "cpu")), "")
    Console().print(table)


if __name__ == "__main__":
    main()
