"""Days, one after another and in words, and the time of an attempt."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

DAY = timedelta(days=1)


def days_between(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + DAY * number for number in range((last - first).days + 1)]


def describe_days(days: Iterable[date]) -> str:
    """Days for people, runs joined: `2026-01-05 to 2026-01-09, 2026-01-12`."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] + DAY == day:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def now() -> datetime:
    """The time of an attempt, in UTC. Never part of what is computed."""
    return datetime.now(UTC)


def yesterday() -> date:
    """The last day that is over, in UTC."""
    return now().date() - DAY
