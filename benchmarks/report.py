"""Measures, and writes docs/benchmarks.md: each section says when and of which commit it is.

    python -m benchmarks.report [SECTION ...]

Without names: all sections but `volume`, which takes 40 minutes and 60 GB of disk. Sections that are not named stay.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench`, which measures all but the last section anew; `make bench ONLY="load metrics"` measures those
two. Seconds are the machine's own: the ratios are what to compare.
"""
ON_REQUEST = "volume"


@dataclass(frozen=True)
class Section:
    """What is measured, and what a reader has to know of it."""

    title: str
    text: str
    command: tuple[str, ...]


SECTIONS = {
    "ingest": Section(
        "Event ingest, against the least that it can cost",
        "The floor is one `read_json` with explicit columns to Parquet: no checks, no repeats removed, a bad line ends "
        "it.\nNone of the other libraries keeps bad lines.",
        ("benchmarks.ingest", "--lines", os.environ.get("BENCH_LINES", "400000")),
    ),
    "load": Section(
        "The demo's load: 60 days in one window",
        "Each stage by itself, and the same through Airflow.",
        ("benchmarks.load",),
    ),
    "extract": Section(
        "Two million payments out of a PostgreSQL",
        "Ours checks each row and hashes what is personal; the others only fetch.",
        ("benchmarks.extract",),
    ),
    "services": Section(
        "Third-party services: all countries, indicators and rates",
        "The stand-in waits before each answer, as a network would. Its limit is ours: four requests at once.",
        ("benchmarks.services",),
    ),
    "profile": Section(
        "A profile of all that the demo's sources sent",
        "The whole process: every landed table measured, compared with the profile before, and drawn as a page.",
        ("benchmarks.profile",),
    ),
    "gate": Section(
        "What the gate adds to a one-day run",
        "The DAG load_window for the demo's last day, headless, with its audits and with audits that pass unseen.",
        ("benchmarks.gate",),
    ),
    "metrics": Section(
        "Retention and rolling actives of a million people",
        "Against the SQL that tutorials give, which has to be run for each answer: both kinds of retention, and each "
        "window for\neverybody and by two segments. Ours gives all of them at once, by six segments.",
        ("benchmarks.metrics",),
    ),
    "increment": Section(
        "One more day, after a month and after a year",
        "Two products whose days have as many events. What reads events should cost the same in both.",
        ("benchmarks.increment",),
    ),
    "volume": Section(
        "A hundred million events in one window",
        "All in one process, with 2 GB for DuckDB; measured with `make bench ONLY=volume`.",
        ("benchmarks.volume",),
    ),
}


def main(names: Annotated[list[str] | None, typer.Argument(metavar="SECTION")] = None) -> None:
    """Measure some sections, or all but the largest."""
    if unknown := set(names or ()) - SECTIONS.keys():
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: choose of {', '.join(SECTIONS)}")
    sections = dict(re.findall(r"^## (.*?)\n+(.*?)\s*(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE))
    for name in names or [name for name in SECTIONS if name != ON_REQUEST]:
        section = SECTIONS[name]
        print(f"Measuring: {section.title}", file=sys.stderr)
        sections[section.title] = f"{section.text}\n\n{_stamp()}\n\n```text\n{_measured(section).rstrip()}\n```"
        written = (f"## {one.title}\n\n{sections[one.title]}\n" for one in SECTIONS.values() if one.title in sections)
        PAGE.write_text("\n".join([HEAD, *written]))


def _measured(section: Section) -> str:
    run = subprocess.run([sys.executable, "-m", *section.command], stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        sys.exit(
            f"{' '.join(section.command)} ended with {run.returncode}. What was measured before is in {PAGE.name}."
        )
    return "\n".join(line.rstrip() for line in run.stdout.splitlines())


def _stamp() -> str:
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    changed = ["git", "diff", "--quiet", "HEAD", "--", ".", f":!{PAGE.relative_to(PAGE.parents[1])}"]
    dirty = " and what was changed since" if subprocess.run(changed, check=False).returncode else ""
    return f"*{datetime.now(UTC):%Y-%m-%d}, commit {commit}{dirty}, {os.cpu_count()} cores.*"


if __name__ == "__main__":
    typer.run(main)
