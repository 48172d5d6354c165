"""What the gate found, for people and for the record."""

from dataclasses import dataclass
from datetime import date, datetime
from itertools import zip_longest
from typing import Any, Literal

from storage.errors import LiftoffError

CheckOutcome = Literal["passed", "warned", "failed", "not_evaluated"]


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

    @property
    def blocks(self) -> bool:
        """What was not evaluated did not pass."""
        return self.outcome not in {"passed", "warned"}


@dataclass(frozen=True)
class Report:
    """One audit: a result for every declared check."""

    gate_id: str
    subject: str
    """What was audited, as a sentence begins: `Landing of events 2026-02-14`."""
    started_at: datetime
    seconds: float
    results: tuple[CheckResult, ...]

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
    def failed_days(self) -> set[date]:
        """The days that at least one blocking result names."""
        return {day for result in self.failures for day in result.days}

    def passed_on(self, day: date) -> bool:
        """Whether that day may land. A report that failed without saying on which days failed on all of them."""
        return self.passed or (bool(self.failed_days) and day not in self.failed_days)

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
        """The verdict, then what failed and what warned: a line a result, and rows that show it."""
        shown = self.failures + self.warnings
        width = max((len(result.name) for result in shown), default=0)
        lines = [self.sentence()]
        for result in shown:
            rows = [
                ", ".join(f"{column}={value}" for column, value in row.items() if column not in SAID)
                for row in result.samples[:2]
            ]
            said = result.message.split("; ") + [f"e.g. {row}" for row in rows if row]
            lines += [f"  {name:{width}}  {line}" for name, line in zip_longest([result.name], said, fillvalue="")]
        return "\n".join(lines)
