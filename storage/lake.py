"""The lake: landings, one per source table and landing day, that passed their audit.

pending/<ingest_id>/                               written by ingestion, seen by its audit alone
raw/<source>/<table>/dt=<day>/data.parquet         what dbt reads
                              outcome.json         written last: without it a landing does not count
quarantine/<source>/<table>/dt=<day>/<ingest_id>.parquet
rejected/<ingest_id>/                              what failed its audit, with the report
reports/<gate_id>.json and .html                   the report of each audit, of landings and of marts
responses/<source>/<table>/dt=<day>/<ingest_id>.jsonl.gz   the answers of a service that a landing was made from
meta/<table>/<id>.json                             one immutable file an attempt, one JSON object a line
"""

import dataclasses
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from storage.errors import Blocked
from storage.files import exclusive, new_id, remove_older_than, replace, write_json

Status = Literal["staged", "accepted", "superseded", "rejected", "failed", "unchanged", "stale"]
"""`unchanged`: the source holds what the last landing holds. `stale`: it did not answer, the last landing is young."""


@dataclass(frozen=True)
class Outcome:
    """One attempt to land one table's day. Counts are records; `read = accepted + quarantined + duplicates`."""

    ingest_id: str
    source: str
    table: str
    day: date
    status: Status
    started_at: datetime
    seconds: float = 0.0
    read: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    first_event_date: date | None = None
    last_event_date: date | None = None
    content_hash: str = ""
    """Changes when the accepted records change, whatever their order."""
    contract_digest: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    rules: str = ""
    """The settings that decided which records land, in words."""
    gate_id: str = ""
    """The audit that judged it: `meta.check_result` has what it found."""


_OUTCOME = TypeAdapter(Outcome)  # takes as long to make as the file to read


@dataclass(frozen=True)
class Partition:
    """An accepted landing, as a release records it among its inputs."""

    source: str
    table: str
    day: date
    rows: int
    content_hash: str
    first_event_date: date | None
    last_event_date: date | None
    rules: str = ""


class LandingInterrupted(Blocked):
    """A landing is neither the old nor the new one. Loading its day again mends it."""


class Lake:
    """The landings below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self) -> Path:
        """Make a folder in which one landing is written; its name is the ingest id."""
        pending = self.root / "pending" / new_id()
        pending.mkdir(parents=True)
        return pending

    def accept(self, outcome: Outcome) -> Outcome:
        """Make a staged landing that passed its audit the one that builds read, replacing the day's previous one.

        Quarantine comes first and the outcome last: whatever is interrupted between them is known to be, and redone.
        Of two attempts at one day the one that began to read later wins, whichever is accepted last.
        """
        pending, landing = self.pending(outcome), self.landing_dir(outcome.source, outcome.table, outcome.day)
        with self.locked():
            landed = _read_outcome(landing / "outcome.json")
            if landed and landed.ingest_id > outcome.ingest_id:
                shutil.rmtree(pending)
                reason = f"a later read of that day landed first: {landed.ingest_id}"
                return dataclasses.replace(outcome, status="superseded", reason=reason)
            accepted = dataclasses.replace(outcome, status="accepted")
            self._keep_quarantine(outcome)
            replace(pending / "data.parquet", landing / "data.parquet")
            write_json(landing / "outcome.json", accepted)
            for earlier in self.quarantine_dir(outcome).glob("*.parquet"):
                if earlier.stem < outcome.ingest_id:
                    earlier.unlink()
        shutil.rmtree(pending)
        return accepted

    def reject(self, outcome: Outcome, reason: str, report: Any) -> Outcome:
        """Keep a landing that failed its audit where no build reads it, with the report that says why."""
        rejected = dataclasses.replace(outcome, status="rejected", reason=reason)
        self._keep_quarantine(outcome)
        write_json(self.pending(outcome) / "outcome.json", rejected)
        write_json(self.pending(outcome) / "gate_report.json", report)
        replace(self.pending(outcome), self.root / "rejected" / outcome.ingest_id)
        return rejected

    def locked(self) -> AbstractContextManager[None]:
        """Hold all landings still: none is swapped meanwhile. Not to be nested."""
        return exclusive(self.root / ".lock")

    def partitions(self, source: str, table: str) -> list[Partition]:
        """The accepted landings of one table, by day. Ask while they are `locked`.

        Raises:
            LandingInterrupted: a run was killed between swapping a day's data and writing its outcome.
        """
        outcomes = [
            (folder, _read_outcome(folder / "outcome.json"))
            for folder in sorted((self.root / "raw" / source / table).glob("dt=*"))
        ]
        interrupted = [
            folder.name.removeprefix("dt=")
            for folder, outcome in outcomes
            if _ingest_id_of(folder / "data.parquet") != (outcome.ingest_id if outcome else None)
        ]
        if interrupted:
            raise LandingInterrupted(
                f"A run was stopped while it landed {table} of {', '.join(interrupted)}. Nothing is lost: load "
                "these days again."
            )
        return [
            Partition(
                source=source,
                table=table,
                day=outcome.day,
                rows=outcome.accepted,
                content_hash=outcome.content_hash,
                first_event_date=outcome.first_event_date,
                last_event_date=outcome.last_event_date,
                rules=outcome.rules,
            )
            for _, outcome in outcomes
            if outcome
        ]

    def accepted(self, source: str = "*", table: str = "*") -> list[Outcome]:
        """The outcome of every accepted landing, by table and day."""
        paths = sorted((self.root / "raw").glob(f"{source}/{table}/dt=*/outcome.json"))
        return [outcome for path in paths if (outcome := _read_outcome(path))]

    def sweep(self, *, rejected_days: int) -> None:
        """Remove what killed attempts left behind, and what is past its time: rejected or quarantined records, reports,
        and answers of services of which nothing landed, or not any more.

        A pending folder is given up after a day: no attempt takes that long, and one that does fails loudly.
        """
        remove_older_than(self.root / "pending", days=1)
        for name in ("rejected", "reports"):
            remove_older_than(self.root / name, days=rejected_days)
        for folder in (self.root / "quarantine").glob("*/*/dt=*"):
            remove_older_than(folder, days=rejected_days)
        for folder in (self.root / "responses").glob("*/*/dt=*"):
            landed = _read_outcome(self.root / "raw" / folder.relative_to(self.root / "responses") / "outcome.json")
            kept = f"{landed.ingest_id}.jsonl.gz" if landed else ""  # the next request asks what is newer than these
            remove_older_than(folder, days=rejected_days, but=kept)

    def pending(self, outcome: Outcome) -> Path:
        """The folder in which this landing was written."""
        return self.root / "pending" / outcome.ingest_id

    def landing_dir(self, source: str, table: str, day: date) -> Path:
        """Where the accepted landing of that day lies."""
        return self.root / "raw" / source / table / f"dt={day}"

    def quarantine_dir(self, outcome: Outcome) -> Path:
        """Where the records that this landing refused are kept."""
        return self.root / "quarantine" / outcome.source / outcome.table / f"dt={outcome.day}"

    def _keep_quarantine(self, outcome: Outcome) -> None:
        quarantined = self.pending(outcome) / "quarantine.parquet"
        if quarantined.exists():
            quarantined.chmod(0o600)  # raw records may hold personal data
            replace(quarantined, self.quarantine_dir(outcome) / f"{outcome.ingest_id}.parquet")


def _read_outcome(path: Path) -> Outcome | None:
    return _OUTCOME.validate_json(path.read_bytes()) if path.exists() else None


def _ingest_id_of(data: Path) -> str | None:
    """Which attempt wrote a landing's data: kept in the file itself, so that a crash between two writes shows."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 60 MB, which the UI's server does without

    try:
        metadata: dict[bytes, bytes] = pq.read_metadata(data).metadata or {}
    except FileNotFoundError:
        return None
    return metadata.get(b"ingest_id", b"").decode()
