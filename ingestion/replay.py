"""Replay: the lines that a landing of events refused are read again, by the present contracts and rules.

1. The landing and its quarantine are held, whatever lands meanwhile.
2. The kept bytes of the lines go into one file, which is read as the collector's files are.
3. What is accepted now joins what had landed; of records with one id one is kept, as in any landing.
4. What is refused again stays in quarantine, with its place in the source and all verdicts so far.

The result is the landing that reading the source anew would give. Two things of it are gone with the source: fields of
landed events that no contract knew at the time, and the text of landed lines, so that of two deliveries of one event in
the same microsecond the landed one stays.
"""

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb

from ingestion import landing
from ingestion.events import read_events
from ingestion.landing import TRIES, explained
from storage.engine import connect, text
from storage.files import write_json
from storage.lake import Lake, Outcome
from storage.settings import Settings


@dataclass(frozen=True)
class Tried:
    """Refused records of one reason that were read again: how many, and how many of them are not refused any more."""

    tried: int = 0
    accepted: int = 0


@dataclass(frozen=True)
class Replay:
    """What came of reading refused records again."""

    outcome: Outcome
    """`staged`: the landing with the records that are accepted now. `accepted`: the landing as it was, because none is,
    under the rules by which they were tried now."""
    pending: Path
    """Where its files lie: those of a landing, or a quarantine with new verdicts, or none."""
    by_reason: Mapping[str, Tried]
    """By the reason why they had been refused."""
    contract_digest: str
    """The contracts by which they were tried; empty if there were none."""


def stage_replay(settings: Settings, lake: Lake, landed: Outcome, reason: str | None = None) -> Replay:
    """Read what an accepted landing of events refused again, into `lake/pending/<ingest_id>/`.

    Args:
        settings: the present rules.
        lake: has the landing.
        landed: its outcome.
        reason: only records that were refused for it.

    Raises:
        SourceError: something cannot be read or written. Nothing is left of it.
        LandingInterrupted: the landing is neither the old nor the new one.
        LandingDamaged: it is not the one that was accepted.
    """
    started_at, clock = datetime.now(UTC), perf_counter()
    with explained(f"The replay of {landed.day}", lake.root):
        pending = lake.begin()
        try:
            scratch = pending / "scratch"
            scratch.mkdir()
            landed = lake.hold(landed, scratch)
            result = dataclasses.replace(landed, rules=settings.event_rules)
            by_reason: Mapping[str, Tried] = {}
            digest = ""
            if (scratch / "refused.parquet").exists():
                with connect(settings) as connection:
                    again = _Again(connection, settings, landed, pending, started_at)
                    digest, changes = again.read(reason)
                    by_reason = again.by_reason()
                if changes:
                    seconds = round(perf_counter() - clock, 3)
                    result = dataclasses.replace(result, seconds=seconds, **changes)
                    write_json(pending / "outcome.json", result)  # see Lake.sweep
            shutil.rmtree(scratch)
        except BaseException:
            shutil.rmtree(pending, ignore_errors=True)
            raise
    return Replay(result, pending, by_reason, digest)


class _Again:
    """One replay's files and tables.

    Table `refused` holds the quarantine, `number` being a record's line in the file that is read again, NULL if it is
    not; `verdict` why lines of that file are refused again.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, settings: Settings, landed: Outcome, pending: Path, at: datetime
    ) -> None:
        self._connection, self._settings, self._landed = connection, settings, landed
        self._pending, self._scratch, self._at = pending, pending / "scratch", at
        self._landed_data = text(self._scratch / "landed.parquet")
        self._accepted_now = text(self._scratch / "data.parquet")
        self._execute("set preserve_insertion_order = false")

    def read(self, reason: str | None) -> tuple[str, dict[str, Any]]:
        """Read the lines and write what changes.

        Returns:
            The digest of the contracts, and what is new in the outcome: nothing if no record is accepted now.
        """
        self._select(reason)
        lines = self._scratch / "refused.jsonl"
        self._spool(lines)
        read = read_events(self._settings, [lines], self._scratch)
        digest = read["contract_digest"]
        self._judge(digest)
        joins = read["accepted"] + read["duplicates"] > 0
        if joins or self._execute("select coalesce(bool_or(is_new), false) from remaining")[0][0]:
            self._write_quarantine()
        if not joins:
            return digest, {}
        return digest, {
            "ingest_id": self._pending.name,
            "status": "staged",
            "started_at": self._at,
            "replay_of": self._landed.ingest_id,
            "gate_id": "",
            "contract_digest": digest,
            "warnings": read["warnings"],
            **self._merge(read["duplicates"]),
        }

    def by_reason(self) -> dict[str, Tried]:
        """What became of the records, by the reason why they had been refused."""
        rows = self._execute("""
            select refused.reason, count(*), count(*) filter (verdict.number is null)
            from refused left join verdict using (number)
            where number is not null group by all order by all
        """)
        return {reason: Tried(tried, accepted) for reason, tried, accepted in rows}

    def _select(self, reason: str | None) -> None:
        self._execute(
            f"""
            create temp table refused as
            with kept as (
                select null::{TRIES} as tries where false
                union all by name
                from read_parquet({text(self._scratch / "refused.parquet")})
            )
            select
                * exclude (tries),
                coalesce(tries, [row($at, contract_digest, $rules, reason)::{TRIES.removesuffix("[]")}]) as tries,
                -- Line 1 is blank: what the first line of a file may begin with, others may not.
                case when $reason is null or reason = $reason
                then 1 + row_number() over (partition by $reason is null or reason = $reason order by file, line)
                end as number
            from kept
            """,
            {"at": self._landed.started_at, "rules": self._landed.rules, "reason": reason},
        )

    def _spool(self, path: Path) -> None:
        found = self._connection.execute("select raw from refused where number is not null order by number")
        with path.open("wb") as lines:
            lines.write(b"\n")
            while chunk := found.fetchmany(10_000):
                lines.writelines(raw + b"\n" for (raw,) in chunk)

    def _judge(self, contract_digest: str) -> None:
        """Table `remaining`: the quarantine as it is now. A verdict that is the last one again is no new one."""
        refused_again = self._scratch / "quarantine.parquet"
        verdicts = f"read_parquet({text(refused_again)})" if refused_again.exists() else "(from refused limit 0)"
        self._execute(f"""
            create temp table verdict as
            select line as number, reason, detail, event_id, event_date, contract_digest from {verdicts}
        """)
        judged = ("reason", "detail", "event_id", "event_date", "contract_digest")
        self._execute(
            f"""
            create temp table remaining as
            select
                refused.file, refused.line, refused.raw,
                {", ".join(f"if(number is null, refused.{name}, verdict.{name}) as {name}" for name in judged)},
                number is not null and row($digest, $rules, verdict.reason) is distinct from
                    row(refused.tries[-1].contract_digest, refused.tries[-1].rules, refused.tries[-1].reason) as is_new,
                (refused.tries || if(is_new, [row($at, $digest, $rules, verdict.reason)], []))::{TRIES} as tries
            from refused left join verdict using (number)
            where number is null or verdict.number is not null
            """,
            {"at": self._at, "digest": contract_digest, "rules": self._settings.event_rules},
        )

    def _write_quarantine(self) -> None:
        """The remaining records, readable by their owner alone, and as old as they were: they are not kept longer."""
        if self._execute("select count(*) from remaining")[0][0]:
            landing.write_quarantine(
                self._connection, self._pending, "select * exclude (is_new) from remaining order by file, line"
            )
            shutil.copystat(self._scratch / "refused.parquet", self._pending / "quarantine.parquet")

    def _merge(self, duplicates: int) -> dict[str, Any]:
        """Write what had landed and what is accepted now. Of two records with one id the one received first stays."""
        self._execute(f"""
            create temp table joining as
            from {self._accepted_now} as accepted
            where not exists (
                from {self._landed_data} as landed
                where landed.event_id = accepted.event_id and landed.received_at <= accepted.received_at
            )
        """)
        columns = ", ".join(f'"{name}"' for name, *_ in self._execute("describe joining"))
        landing.write_data(
            self._connection,
            self._pending,
            f"""
            select {columns} from (
                from {self._landed_data} anti join joining using (event_id)
                union all by name
                from joining
            )
            """,
        )
        repeated = f"select count(*) from {self._accepted_now} semi join {self._landed_data} using (event_id)"
        read = self._landed.read
        return landing.count(
            self._connection,
            self._pending,
            "event_at::date",
            read=read,
            duplicates=self._landed.duplicates + duplicates + self._execute(repeated)[0][0],
            found=f"Lost lines: the landing was made of {read:,} lines",
        )

    def _execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(query, parameters or {}).fetchall()
        return rows
