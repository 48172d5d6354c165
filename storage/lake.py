"""The lake: landings, one per source table and landing day, that passed their audit.

pending/<ingest_id>/                               written by ingestion, seen by its audit alone
raw/<source>/<table>/dt=<day>/data.parquet         what dbt reads
                              outcome.json         written last: without it a landing does not count
quarantine/<source>/<table>/dt=<day>/<ingest_id>.parquet
rejected/<ingest_id>/                              what failed its audit, with the report
reports/<gate_id>.{json,html}                      the report of each audit, of landings and of marts
profiles/<profile_id>.{json,html}                  what landed, measured: the last ones
responses/<source>/<table>/dt=<day>/<ingest_id>.jsonl.gz   the answers of a service that a landing was made from
meta/<table>/<id>.json                             one immutable file an attempt, one JSON object a line
"""

import dataclasses
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from storage.errors import Blocked
from storage.files import exclusive, new_id, remove_older_than, replace, sha256, write_json

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
    file_sha256: str = ""
    """Of an accepted landing's file, byte by byte."""
    contract_digest: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    rules: str = ""
    """The settings that decided which records land, in words."""
    gate_id: str = ""
    """The audit that judged it: `meta.check_result` has what it found."""
    replay_of: str = ""
    """The landing that it adds refused records to, if it was not read from the source."""


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
    file_sha256: str = dataclasses.field(default="", compare=False)
    """Two files that hold the same records are the same input."""


class LandingInterrupted(Blocked):
    """A landing is neither the old nor the new one. Loading its day again mends it."""


class LandingDamaged(Blocked):
    """A landing's file is not the one that was accepted. Loading its day again mends it."""


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
        Of two attempts at one day the one that began to read later wins, whichever is accepted last. A replay adds to
        the landing that it began with, and to no other.
        """
        pending, landing = self.pending(outcome), self.landing_dir(outcome.source, outcome.table, outcome.day)
        with self.locked():
            landed = _read_outcome(landing / "outcome.json")
            landed_id = landed.ingest_id if landed else ""
            if landed_id > outcome.ingest_id or outcome.replay_of not in {"", landed_id}:
                shutil.rmtree(pending)
                reason = f"another read of that day landed first: {landed_id}"
                return dataclasses.replace(outcome, status="superseded", reason=reason)
            self._keep_quarantine(pending, outcome)
            replace(pending / "data.parquet", landing / "data.parquet")
            accepted = self._complete(outcome)
        shutil.rmtree(pending)
        return accepted

    def hold(self, landed: Outcome, pending: Path) -> Outcome:
        """Link the day's accepted landing into a folder as `landed.parquet`, and what it refused as `refused.parquet`,
        if there is any: what lands later replaces the names, not these files. Returns its outcome, `landed` or later.

        Raises:
            LandingInterrupted: as `partitions`.
            LandingDamaged: the file is not the one that was accepted. What is written from it would pass for one.
        """
        data = self.landing_dir(landed.source, landed.table, landed.day) / "data.parquet"
        with self.locked():
            current = _read_outcome(data.with_name("outcome.json"))
            if current is None or _ingest_id_of(data) != current.ingest_id:
                raise _interrupted(landed.table, [str(landed.day)])
            if current.file_sha256 not in {"", sha256(data)}:
                raise LandingDamaged(
                    f"The landing of {landed.table} on {landed.day} is not the file that was accepted, so that "
                    "nothing is added to it. Load that day again: load_window."
                )
            (pending / "landed.parquet").hardlink_to(data)
            refused = self.quarantine_of(current)
            if refused.exists():
                (pending / "refused.parquet").hardlink_to(refused)
        return current

    def amend(self, landed: Outcome, pending: Path) -> bool:
        """Change what is said about an accepted landing whose records stay: its outcome and, if a quarantine lies in
        `pending`, its quarantine. False if another landing took its place.
        """
        path = self.landing_dir(landed.source, landed.table, landed.day) / "outcome.json"
        with self.locked():
            current = _read_outcome(path)
            if current is None or current.ingest_id != landed.ingest_id:
                return False
            self._keep_quarantine(pending, landed)
            if current != landed:
                write_json(path, landed)
        return True

    def reject(self, outcome: Outcome, reason: str, report: Any) -> Outcome:
        """Keep a landing that failed its audit where no build reads it, with the report that says why."""
        rejected = dataclasses.replace(outcome, status="rejected", reason=reason)
        if outcome.replay_of:
            (self.pending(outcome) / "quarantine.parquet").unlink(missing_ok=True)  # the landing keeps them all
        self._keep_quarantine(self.pending(outcome), outcome)
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
            raise _interrupted(table, interrupted)
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
                # Of one that was accepted before digests were kept, only what changes during a build is seen.
                file_sha256=outcome.file_sha256 or sha256(folder / "data.parquet"),
            )
            for folder, outcome in outcomes
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
        self._complete_replays()
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
        """Where the records that attempts at this landing's day refused are kept."""
        return self.root / "quarantine" / outcome.source / outcome.table / f"dt={outcome.day}"

    def quarantine_of(self, outcome: Outcome) -> Path:
        """The file of the records that this landing refused; not there if it refused none, or they were purged."""
        return self.quarantine_dir(outcome) / f"{outcome.ingest_id}.parquet"

    def quarantines(self, source: str = "*", table: str = "*", day: date | None = None) -> list[Path]:
        """The quarantine of each table and day, of the latest attempt that refused anything."""
        folders = sorted((self.root / "quarantine").glob(f"{source}/{table}/dt={day or '*'}"))
        return [max(kept) for folder in folders if (kept := list(folder.glob("*.parquet")))]

    def _keep_quarantine(self, pending: Path, outcome: Outcome) -> None:
        quarantined = pending / "quarantine.parquet"
        if quarantined.exists():
            quarantined.chmod(0o600)  # raw records may hold personal data
            replace(quarantined, self.quarantine_of(outcome))

    def _complete(self, outcome: Outcome) -> Outcome:
        """The last steps of accepting, when its data are in place."""
        landing = self.landing_dir(outcome.source, outcome.table, outcome.day)
        accepted = dataclasses.replace(outcome, status="accepted", file_sha256=sha256(landing / "data.parquet"))
        write_json(landing / "outcome.json", accepted)
        for earlier in self.quarantine_dir(accepted).glob("*.parquet"):
            if earlier.stem < accepted.ingest_id:
                earlier.unlink()
        return accepted

    def _complete_replays(self) -> None:
        """Where a replay was killed between its data and its outcome, the day cannot be read again: its source may be
        gone. Its outcome lies in its pending folder.
        """
        for path in (self.root / "pending").glob("*/outcome.json"):
            with self.locked(), suppress(FileNotFoundError):  # whoever accepts it removes it
                replayed = _OUTCOME.validate_json(path.read_bytes())
                landing = self.landing_dir(replayed.source, replayed.table, replayed.day)
                landed = _read_outcome(landing / "outcome.json")
                is_complete = landed is not None and landed.ingest_id == replayed.ingest_id
                if not is_complete and _ingest_id_of(landing / "data.parquet") == replayed.ingest_id:
                    self._complete(replayed)


def _interrupted(table: str, days: Sequence[str]) -> LandingInterrupted:
    return LandingInterrupted(
        f"A run was stopped while it landed {table} of {', '.join(days)}. Nothing is lost: load these days again."
    )


def _read_outcome(path: Path) -> Outcome | None:
    return _OUTCOME.validate_json(path.read_bytes()) if path.exists() else None


def _ingest_id_of(data: Path) -> str | None:
    """Which attempt wrote a landing's data: kept in the file itself, so that a crash between two writes shows."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 60 MB, which the UI's server does without
    from pyarrow import ArrowInvalid  # noqa: PLC0415 - as above

    try:
        metadata: dict[bytes, bytes] = pq.read_metadata(data).metadata or {}
    except FileNotFoundError:
        return None
    except ArrowInvalid:
        return ""
    return metadata.get(b"ingest_id", b"").decode()
