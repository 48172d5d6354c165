"""What is promised of a landed table: by this a profile knows how to read it, and what to hold it to."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DeclaredColumn:
    """What someone promised of a column."""

    type: str
    meaning: str = ""
    required: bool = False
    is_personal: bool = False


@dataclass(frozen=True)
class Declared:
    """What someone promised of a landed table, and how it is to be read."""

    source: str
    table: str
    key: tuple[str, ...]
    columns: Mapping[str, DeclaredColumn]
    is_daily: bool
    """Each landing holds its own day. Else it holds everything, and the last one is what is profiled."""
    description: str = ""
    event_time: str = ""
    """The column that says when a row happened."""
    received_time: str = ""
    sent_time: str = ""
    """When it was received, by our clock; and sent, by the sender's."""
    kind: str = ""
    """The column that says which of several records with columns of their own a row is."""
    split_by: tuple[str, ...] = ()
    """Columns by whose values the volume of each day is shown."""

    @property
    def name(self) -> str:
        """`events`, or `source.table` where they differ."""
        return self.table if self.table == self.source else f"{self.source}.{self.table}"
