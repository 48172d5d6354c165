"""What the gate found, for people and for the record."""

from dataclasses import dataclass
from datetime import date, datetime
from itertools import zip_longest
from typing import Any, Literal

from storage.errors import LiftoffError

CheckOutcome = Literal["passed", "noted", "warned", "failed", "not_evaluated"]
"""Noted: it says what a report should tell, such as what could not be compared yet, and nothing is wrong."""
Severity = Literal["fail", "warn", "note"]
"""What a check that is broken does: block, warn, or only say so. What was not evaluated blocks in any case."""

PERSONAL = frozenset(
    {
        *("user_id", "user_key", "device_id", "session_id", "session_key", "event_id", "playback_id", "playback_key"),
        *("subscription_id", "payment_id", "email"),
    }
)
"""Columns whose values identify a person, a device or a visit: a report shows their keyed hashes instead."""
SAID = {"dt", "problem"}  # columns of a failing row that its check's message already says


class GateError(LiftoffError):
    """The gate could not judge: a contract that cannot be used, or Soda itself failed. Nothing passed."""


@dataclass(frozen=True)
class CheckResult:
    """What one check of one table found."""

    table: str
    name: str
    outcome: CheckOutcome
    value: float | None
    """What was measured: failing rows, or the metric. None when nothing could be."""
    threshold: str
    message: str
    """The rule, and how it was broken."""
    days: tuple[date, ...] = ()
    """The days that fail or warn; empty when the check is not by day."""
    samples: tuple[dict[str, Any], ...] = ()
    """At most 5 failing rows, personal identifiers replaced by keyed hashes."""
    owner: str = ""
    """The team that looks when it does not pass; empty in reports of before owners were kept."""
    severity: Severity = "fail"

    @property
    def blocks(self) -> bool:
        """What was not evaluated did not pass."""
        return self.outcome not in {"passed", "noted", "warned"}


@dataclass(frozen=True)
class Report:
    """One audit: a result for every declared check."""

    gate_id: str
    subject: str
    """What was audited, as a sentence begins: `Landing of events 2026-02-14`."""
    started_at: datetime
    seconds: float
    results: tuple[CheckResult, ...]
    judged_days: int = 0
    """Of how many days landings were judged; 0 for a build."""

    @property
    def passed(self) -> bool:
        """Nothing that was declared failed or went unjudged, and something was declared."""
        return bool(self.results) and not self.failures

    @property
    def failures(self) -> list[CheckResult]:
        """The results that block."""
        return [result for result in self.results if result.blocks]

    @property
    def warnings(self) -> list[CheckResult]:
        """The results that do not block, but that people should see."""
        return [result for result in self.results if result.outcome == "warned"]

    @property
    def notes(self) -> list[CheckResult]:
        """What the checks say beside their verdicts: what could not be compared yet."""
        return [result for result in self.results if result.outcome == "noted"]

    def passed_on(self, table: str, day: date) -> bool:
        """Whether a table's landing of that day may be accepted. A failure that names no day stops all of them."""
        judged = [result for result in self.results if result.table == table]
        stopped = any(result.blocks and (not result.days or day in result.days) for result in judged)
        return bool(judged) and not stopped

    def sentence(self) -> str:
        """The verdict: `Landing of events 2026-02-14 was blocked: 2 of 8 checks failed.`"""
        if not self.results:
            return f"{self.subject} was blocked: no check was made."
        if not self.passed:
            checks = "check" if len(self.results) == 1 else "checks"
            return f"{self.subject} was blocked: {len(self.failures)} of {len(self.results)} {checks} failed."
        warned = f", {len(self.warnings)} of them with a warning" if self.warnings else ""
        return f"{self.subject} passed {len(self.results)} checks{warned}."

    def text(self) -> str:
        """The verdict, then what failed, warned or was noted: a line a result, and rows that show it."""
        shown = self.failures + self.warnings + self.notes
        several = len({result.table for result in self.results}) > 1
        names = [f"{result.table}.{result.name}" if several else result.name for result in shown]
        width = max(map(len, names), default=0)
        lines = [self.sentence()]
        for title, result in zip(names, shown, strict=True):
            rows = [
                ", ".join(f"{column}={value}" for column, value in row.items() if column not in SAID)
                for row in result.samples[:2]
            ]
            said = result.message.split("; ") + [f"e.g. {row}" for row in rows if row]
            lines += [f"  {name:{width}}  {line}" for name, line in zip_longest([title], said, fillvalue="")]
        return "\n".join([*lines, *self._who_looks()])

    def _who_looks(self) -> list[str]:
        """The owners of what failed, or else of what warned."""
        owners = sorted({result.owner for result in self.failures or self.warnings} - {""})
        return [f"Who looks: {', '.join(owners)}."] if owners else []
