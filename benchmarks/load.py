"""The demo's load, 60 days in one window: each stage by itself, and the same through Airflow.

Every run is a process of its own on an empty data folder. Prints medians; the ratio is taken run by run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from simulator.api_server import serving

BARE = """
import json, sys, time
from datetime import date

def timed(name, step, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    result = step(*arguments)
    stages[name] = [time.perf_counter() - wall, time.process_time() - cpu]
    return result

stages = {}
def imports():
    from liftoff import building, intake
    return building, intake
building, intake = timed("import", imports)
from liftoff.plan import Window
window = Window(date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2]))
for land in (intake.land_events, intake.land_extracts, intake.land_market_data):
    timed(land.__name__.replace("_", " "), land, window)
candidate = timed("prepare", building.prepare)
timed("transform", building.transform, candidate)
timed("audit", building.audit, candidate)
timed("publish", building.publish, candidate)
print(json.dumps(stages))
"""
FIRST, LAST = "2026-01-05", "2026-03-05"


def main() -> None:
    """Simulate once, then measure both ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    liftoff = str(Path(sys.executable).with_name("liftoff"))
    with tempfile.TemporaryDirectory(prefix="liftoff-bench-") as folder, serving() as services_url:
        made = Path(folder) / "made"
        subprocess.run([liftoff, "simulate"], env=_environment(made, {}), check=True, stdout=subprocess.DEVNULL)
        source = sources(made / "source", services_url)
        bare, airflow, stages = [], [], []
        for number in range(arguments.runs):
            run = measure([sys.executable, "-c", BARE, FIRST, LAST], Path(folder) / f"bare-{number}", source)
            stages.append(json.loads(str(run.pop("output"))))
            bare.append(run)
            command = [liftoff, "run", "--start", FIRST, "--end", LAST]
            run = measure(command, Path(folder) / f"airflow-{number}", source)
            run.pop("output")
            airflow.append(run)
    figures = {
        "bare": _medians(bare),
        "through_airflow": _medians(airflow),
        "airflow_over_bare_wall": statistics.median(
            float(ours["wall"]) / float(theirs["wall"]) for ours, theirs in zip(airflow, bare, strict=True)
        ),
        "stages": {
            name: {
                "wall": statistics.median(run[name][0] for run in stages),
                "cpu": statistics.median(run[name][1] for run in stages),
            }
            for name in stages[0]
        },
    }
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        _show(figures)


def sources(folder: Path, services_url: str) -> dict[str, str]:
    """Settings that name what a load reads: logs and warehouse in a folder, and the services."""
    return {
        "LIFTOFF_EVENTS_DIR": str(folder / "events"),
        "LIFTOFF_WAREHOUSE_URI": str(folder / "warehouse.duckdb"),
        "LIFTOFF_WORLD_BANK_URL": services_url,
        "LIFTOFF_FX_URL": services_url,
    }


def _environment(data_dir: Path, source: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIFTOFF_")}
    return inherited | {"LIFTOFF_DATA_DIR": str(data_dir)} | source


def measure(command: list[str], data_dir: Path, source: dict[str, str]) -> dict[str, float | str]:
    """Run a process on a data folder. Returns its wall and cpu seconds, peak_mb, and the text of its JSON as output."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, env=_environment(data_dir, source), stdout=subprocess.PIPE, stderr=said, text=True
        )
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            raise SystemExit(f"{said.read()}\n{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    wall = time.perf_counter() - start
    return {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024),
        "output": output[output.find("{") :],  # before its JSON, DuckDB may show how far a slow query is
    }


def _medians(runs: list[dict[str, float | str]]) -> dict[str, float]:
    return {name: statistics.median(float(run[name]) for run in runs) for name in ("wall", "cpu", "peak_mb")}


def _show(figures: dict) -> None:  # type: ignore[type-arg]
    table = Table(title=f"Load and build of {FIRST} to {LAST}", title_justify="left", box=None, padding=(0, 3, 0, 0))
    for name in ("", "wall s", "cpu s", "peak MB", "share of wall"):
        table.add_column(name, justify="right" if name else "left")
    bare = figures["bare"]
    for name, stage in figures["stages"].items():
        table.add_row(
            f"  {name}", f"{stage['wall']:.1f}", f"{stage['cpu']:.1f}", "", f"{stage['wall'] / bare['wall']:.0%}"
        )
    for name in ("bare", "through_airflow"):
        run = figures[name]
        table.add_row(name.replace("_", " "), f"{run['wall']:.1f}", f"{run['cpu']:.1f}", f"{run['peak_mb']:.0f}", "")
    Console().print(table, f"\nThrough Airflow takes {figures['airflow_over_bare_wall']:.2f} times the bare functions.")


if __name__ == "__main__":
    main()
