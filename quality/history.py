"""What each check of a report measured before, and the small chart of it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from pydantic_core import from_json

from quality.report import CheckOutcome, CheckResult, Report

RUNS = 30
"""How many runs a chart shows, the report's own included."""
AUDITS_READ = 200
"""How many of the newest audits are looked through for them: 50 nights of three sources and a build. A page of 600
checks takes 0.1 s for it; what lands less often, such as yearly indicators, has a shorter history."""

WIDTH, HEIGHT, MARGIN = 104, 26, 4
STEP = 12
"""The widest that two runs lie apart: a history of three runs is short, and ends where the long ones end."""


@dataclass(frozen=True)
class Measured:
    """What a check found in one run."""

    value: float | None
    outcome: CheckOutcome


History: TypeAlias = Mapping[tuple[str, str], Sequence[Measured]]
"""Earlier runs of each check, by table and name, the oldest first."""


@dataclass(frozen=True)
class Mark:
    """A run that did not pass, or the last one."""

    x: float
    y: float
    outcome: CheckOutcome


@dataclass(frozen=True)
class Chart:
    """A line through the runs of one check, in a box of WIDTH by HEIGHT."""

    line: str
    """The `d` of an SVG path; interrupted where nothing could be measured."""
    marks: tuple[Mark, ...]
    words: str
    """The same for who does not see it."""


def read_history(lake_dir: Path, report: Report) -> History:
    """What the checks of a report found before it.

    Like is compared with like: builds with builds, a table's landing of one day with those of one day, and a window's
    with windows'. Else the first load, of 60 days, would make the rows of every day after it look like none.
    """
    tables = {result.table for result in report.results}
    found: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    runs: Counter[str] = Counter()
    for path in sorted((lake_dir / "meta" / "check_result").glob("*.json"), reverse=True)[:AUDITS_READ]:
        with suppress(OSError, ValueError, LookupError):  # a page is worth more than a point of a line
            lines = path.read_bytes().splitlines()
            first = from_json(lines[0])
            if first["gate_id"] >= report.gate_id or _extent(first["judged_days"]) != _extent(report.judged_days):
                continue
            rows = [row for row in map(from_json, lines) if row["table"] in tables]
            for row in rows:
                found[row["table"], row["name"]].append(Measured(row["value"], row["outcome"]))
            runs.update({row["table"] for row in rows})
        if all(runs[table] >= RUNS - 1 for table in tables):
            break
    return {check: measured[: RUNS - 1][::-1] for check, measured in found.items()}


def chart(result: CheckResult, before: Sequence[Measured]) -> Chart | None:
    """Draw what a check measured, this run last; None when it passed with the same value in all runs that are known.

    Most checks count rows that break a rule, and find none: without their flat lines those that move are seen.
    """
    runs = [*before, Measured(result.value, result.outcome)]
    values = [run.value for run in runs if run.value is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if len(runs) < 2 or (low == high and all(run.outcome == "passed" for run in runs)):
        return None
    step = min(STEP, (WIDTH - 2 * MARGIN) / (len(runs) - 1))

    def y(value: float | None) -> float:
        share = (value - low) / (high - low) if value is not None and high > low else 0.0
        return round(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN), 1)

    points = [
        (round(WIDTH - MARGIN - step * (len(runs) - 1 - number), 1), y(run.value), run)
        for number, run in enumerate(runs)
    ]
    pens = ["M", *("L" if before.value is not None else "M" for before, _ in pairwise(runs))]
    line = "".join(f"{pen}{x:g} {y:g}" for pen, (x, y, run) in zip(pens, points, strict=True) if run.value is not None)
    marks = tuple(Mark(x, y, run.outcome) for x, y, run in points if run.outcome != "passed" or run is runs[-1])
    return Chart(line, marks, _words(runs, low, high))


def _words(runs: Sequence[Measured], low: float, high: float) -> str:
    """For example `12 runs: 591 to 1,204, 2 of them warned`."""
    said = f"{len(runs)} runs: " + (f"always {number(low)}" if low == high else f"{number(low)} to {number(high)}")
    outcomes = Counter(run.outcome.replace("_", " ") for run in runs if run.outcome != "passed")
    return ", ".join([said, *(f"{times} {outcome}" for outcome, times in outcomes.items())])


def number(value: float) -> str:
    """A measured value for people: `3,178` or `0.0421`."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1_000 else f"{value:,.4g}"


def _extent(judged_days: int) -> int:
    """What an audit was about: no day (a build), one, or several (2)."""
    return min(judged_days, 2)
