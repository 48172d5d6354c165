"""What a test looks at after a landing was staged."""

from dataclasses import dataclass
from typing import Any

from storage.lake import Outcome


@dataclass(frozen=True)
class Staged:
    """What came of one table's day."""

    outcome: Outcome
    accepted: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]

    @property
    def reasons(self) -> list[str]:
        """Why records were quarantined, in the order of quarantine."""
        return [record["reason"] for record in self.quarantined]
