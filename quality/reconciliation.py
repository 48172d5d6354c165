"""What a build was given, counted by the gate itself: so that what it read can be held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from quality.report import CheckResult
from storage.engine import connect
from storage.files import sha256
from storage.lake import Partition
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
    newly_landed_dates: Sequence[date]
    """The days that landed since the release before, or anew; all, if all was built anew. Facts of these are told."""
    landed: Mapping[str, int]
    """How many records of each landed table it stands on."""
    inputs_dir: Path
    """The folder of all files that it could read."""
    inputs: Mapping[Path, Partition]
    """Those of its plan, `<source>/<table>/<day>.parquet` each, and what was accepted as such."""


def inputs_as_accepted(built: Built) -> CheckResult:
    """Whether the files that a build read are those of its plan, byte by byte as they were accepted.

    That these hold as many records as were accepted, the audit of each landing has counted.

    Raises:
        FileNotFoundError: a file of the plan is gone.
    """
    differences = [
        f"{_landing(path)}: not the file that was accepted"
        for path, accepted in built.inputs.items()
        if sha256(path) != accepted.file_sha256
    ]
    others = sorted({*built.inputs_dir.rglob("*.parquet")} - built.inputs.keys())
    differences += [f"{_landing(path)}: the plan does not name it" for path in others]
    return CheckResult(
        table="inputs",
        name="as_accepted",
        outcome="failed" if differences else "passed",
        value=float(len(differences)),
        threshold="must be 0",
        message="; ".join(differences) or "Each file that was read is a landing as it was accepted",
        owner="data-platform",
    )


def _landing(path: Path) -> str:
    return "/".join(path.with_suffix("").parts[-3:])


def events_by_day(settings: Settings, built: Built) -> list[tuple[date, int, int]]:
    """How many copies of how many events of each restated day lie in the files that a build read.

    The clock of a client may be corrected between two deliveries of one event, so that its copies lie on two days. It
    is an event of a day on which its first copy of that day, the day before and the day after lies.

    Raises:
        duckdb.Error: a file cannot be read.
    """
    files = [str(path) for path in built.inputs if path.parent.name == "events"]
    if not files or not built.restated_dates:
        return []
    # The range lets whole parts of files be skipped, which the list of days cannot.
    first, after = min(built.restated_dates) - timedelta(days=1), max(built.restated_dates) + timedelta(days=2)
    with connect(settings) as connection:
        counted: list[tuple[date, int, int]] = connection.execute(
            """
            with seen as (
                select
                    cast(event_at as date) as event_date,
                    event_id,
                    count(*) as copies,
                    min((received_at, event_at)) as first_copy
                from read_parquet($files, union_by_name = true, hive_partitioning = false)
                where event_at >= $first and event_at < $after
                group by all
            ),
            on_several_days as (
                from seen semi join (select event_id from seen group by event_id having count(*) > 1) using (event_id)
            ),
            of_another_day as (
                select distinct one.event_date, one.event_id
                from on_several_days as one
                inner join on_several_days as other
                    on one.event_id = other.event_id
                    and abs(one.event_date - other.event_date) = 1
                    and one.first_copy > other.first_copy
            )
            select event_date, sum(copies)::bigint, count(*) - count(of_another_day.event_id)
            from seen
            left join of_another_day using (event_date, event_id)
            where list_contains(cast($days as date[]), event_date)
            group by event_date
            """,
            {"files": files, "first": first, "after": after, "days": [*built.restated_dates]},
        ).fetchall()
    return counted
