"""What a build was given, counted by the gate itself: so that what it read can be held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from quality.report import CheckResult
from storage.engine import connect
from storage.settings import Settings


@dataclass(frozen=True)
class Built:
    """From what a candidate was made, as its plan says."""

    launch_date: date
    last_date: date
    """The last day that the marts are about."""
    gap_dates: Sequence[date]
    """Days in between that someone allowed to be missing."""
    restated_dates: Sequence[date]
    """The event days that this build made anew."""
    landed: Mapping[str, int]
    """How many records of each landed table it stands on."""
    inputs: Mapping[Path, int]
    """The landings that it read, `<source>/<table>/<day>.parquet` each, and how many records of each were accepted."""


def inputs_as_accepted(settings: Settings, inputs: Mapping[Path, int]) -> CheckResult:
    """Whether the files that a build read hold what the lake says of their landings.

    Raises:
        duckdb.Error: a file cannot be read.
    """
    with connect(settings) as connection:
        held = dict(
            connection.execute(
                "select file_name, num_rows from parquet_file_metadata($files)", {"files": [*map(str, inputs)]}
            ).fetchall()
        )
    differences = [
        f"{'/'.join(path.with_suffix('').parts[-3:])}: {held.get(str(path), 0):,} records, {accepted:,} were accepted"
        for path, accepted in inputs.items()
        if held.get(str(path)) != accepted
    ]
    return CheckResult(
        table="inputs",
        name="as_accepted",
        outcome="failed" if differences else "passed",
        value=float(len(differences)),
        threshold="must be 0",
        message="; ".join(differences) or "Each landing that was read holds what was accepted of it",
    )


def events_by_day(settings: Settings, inputs: Mapping[Path, int], days: Sequence[date]) -> dict[date, int]:
    """How many copies of events of each of these days lie in the files that a build read.

    Raises:
        duckdb.Error: a file cannot be read.
    """
    files = [str(path) for path in inputs if path.parent.name == "events"]
    if not files:
        return {}
    with connect(settings) as connection:
        found = connection.execute(
            """
            select cast(event_at as date) as event_date, count(*)
            from read_parquet($files, union_by_name = true)
            where list_contains(cast($days as date[]), cast(event_at as date))
            group by event_date
            """,
            {"files": files, "days": [*days]},
        )
        return dict(found.fetchall())
