"""What a profile holds: what was measured, found odd, and has changed. It is kept as JSON, so nothing here may identify
a person.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from quality.profile.declared import DeclaredColumn

WEIGHTS = ("wrong", "odd", "note")
Weight = Literal["wrong", "odd", "note"]
"""`wrong` breaks a promise or cannot be true, `odd` deserves a look, a `note` is good to know."""


Found = Iterator[tuple[Weight, str, str]]
"""What a rule finds odd: the weight, what it is, and the evidence."""


@dataclass(frozen=True)
class Value:
    """One value of a column that has few."""

    text: str
    rows: int
    first_day: date | None
    last_day: date | None
    """The first and last landing day that it is found on."""


@dataclass(frozen=True)
class Spread:
    """How the numbers of a column are spread; of many rows the quantiles are approximate."""

    quantiles: tuple[float, ...]
    """At 1, 5, 25, 50, 75, 95 and 99%."""
    least: float | None
    most: float | None
    """None where they would show a person's."""
    outlier_limit: float = 0
    outliers: int = 0
    """How far from the median a value is an outlier, and in how many rows it is."""
    unit: str = ""
    """The column that tells which unit a value is of; empty when it may be one."""

    @property
    def median(self) -> float:
        """Half of the values are below."""
        return self.quantiles[len(self.quantiles) // 2]

    @property
    def middle_half(self) -> tuple[float, float]:
        """A quarter of the values is below the first, a quarter above the second."""
        return self.quantiles[2], self.quantiles[4]


@dataclass(frozen=True)
class Column:
    """What was measured of one column. Counts are rows."""

    name: str
    type: str
    filled: int
    distinct: int
    is_exact: bool
    """Whether `distinct` was counted, or estimated within a few percent."""
    expected: int
    """Rows of those kinds that ever fill it; of a table without kinds, all."""
    declared: DeclaredColumn | None = None
    is_personal: bool = True
    """Its values may identify a person, a device or a visit: they are counted, and never shown."""
    first: str = ""
    last: str = ""
    """The least and the most value as text; empty where they would show a person's."""
    shortest: int = 0
    longest: int = 0
    """Characters."""
    blank: int = 0
    untrimmed: int = 0
    """Texts without a character, and texts with spaces around them."""
    variants: int = 0
    """Values that differ from another one by case or spaces alone."""
    looks_like: str = ""
    """`numbers` or `dates`, of text that is nothing else."""
    future: int = 0
    """Moments after the day that follows their landing day."""
    spread: Spread | None = None
    values: tuple[Value, ...] = ()
    """All of them, the most frequent first, where there are few."""

    @property
    def null_share(self) -> float:
        """Of the rows that could be filled."""
        return 1 - self.filled / self.expected if self.expected else 1.0


@dataclass(frozen=True)
class Grain:
    """What tells rows apart."""

    keys: tuple[tuple[str, ...], ...]
    """The smallest sets of columns that do, verified on all rows; at most three, the declared one first."""
    repeats: int
    """Rows whose declared key an earlier row has; over all landings of the window."""
    repeats_within: int
    """The same within one landing."""


@dataclass(frozen=True)
class RowsPer:
    """How many rows a value of an id has."""

    column: str
    values: int
    median: float
    p95: float
    most: int


@dataclass(frozen=True)
class Day:
    """One landing."""

    day: date
    rows: int
    quarantined: int
    duplicates: int
    bytes: int


@dataclass(frozen=True)
class Lateness:
    """How long after the event its row was received. Pairs: of what, and how many rows."""

    within: tuple[tuple[int | None, int], ...]
    """By seconds, each bound the upper end of its bin; the last bin has none."""
    days: tuple[tuple[int, int], ...]
    """By whole days between the two dates, of what was accepted."""
    refused_days: tuple[tuple[int, int], ...]
    """The same of what was quarantined as too late."""
    skewed: int
    skew_ahead: int
    """Rows whose sender's clock is off by more than 5 minutes, and those of them where it is ahead."""

    @property
    def within_hour(self) -> float:
        """The share of rows that were received within an hour."""
        soon = sum(rows for bound, rows in self.within if bound and bound <= 3_600)
        return soon / sum(rows for _, rows in self.within)


@dataclass(frozen=True)
class Suspicion:
    """Something odd, in words."""

    weight: Weight
    table: str
    column: str
    says: str
    evidence: str


@dataclass(frozen=True)
class Table:
    """What was measured of one landed table."""

    source: str
    table: str
    name: str
    description: str
    is_daily: bool
    declared_key: tuple[str, ...]
    rows: int
    days: tuple[Day, ...]
    versions: int
    """How many landings differ from the one before."""
    missing_days: tuple[date, ...]
    columns: tuple[Column, ...]
    grain: Grain
    rows_per: tuple[RowsPer, ...] = ()
    refused: tuple[tuple[str, int], ...] = ()
    """Quarantined records by reason."""
    event_time: str = ""
    hours: tuple[tuple[int, ...], ...] = ()
    """Rows by weekday (Monday first) and hour of the event time."""
    empty_days: tuple[date, ...] = ()
    empty_hours: int = 0
    """Days, and hours, between the first and the last event time without a row."""
    splits: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    """Rows of each landing, by column and value."""
    lateness: Lateness | None = None
    suspicions: tuple[Suspicion, ...] = ()

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(day.bytes for day in self.days)


@dataclass(frozen=True)
class Change:
    """One difference to the previous profile of a table."""

    table: str
    column: str
    says: str
    before: str
    after: str


@dataclass(frozen=True)
class Scope:
    """What a profile was asked to look at."""

    days: int | None = None
    """How many landing days the window has; None is all that has landed."""
    table: str = ""
    """The only table; empty is all."""


@dataclass(frozen=True)
class Previous:
    """A profile that another one is compared with."""

    profile_id: str
    start: date
    end: date


@dataclass(frozen=True)
class Profile:
    """Landed tables in a window of landing days, measured at one time."""

    profile_id: str
    scope: Scope
    made_at: datetime
    seconds: float
    start: date
    end: date
    late_arrival_days: int
    tables: tuple[Table, ...]
    previous: tuple[Previous, ...] = ()
    """The profiles that its tables are compared with, newest first: several when the newest has not all of them."""
    changes: tuple[Change, ...] = ()

    @property
    def suspicions(self) -> list[Suspicion]:
        """Of all tables, the gravest first."""
        found = [suspicion for table in self.tables for suspicion in table.suspicions]
        return sorted(found, key=lambda suspicion: WEIGHTS.index(suspicion.weight))
