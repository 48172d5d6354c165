"""Neighbouring rows that belong together, and what they have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.product import Bools, Ints, Records


@dataclass(frozen=True)
class Runs:
    """Rows in runs of the same keys, one run after the other."""

    first: Ints
    """The row with which each run begins."""
    last: Ints

    @classmethod
    def of(cls, *keys: npt.NDArray[Any]) -> "Runs":
        """The runs of rows that are sorted by `keys`."""
        count = len(keys[0])
        begins = np.ones(count, dtype=np.bool_)
        begins[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
        first = np.flatnonzero(begins)
        return cls(first, np.append(first[1:], count)[: len(first)] - 1)

    @property
    def length(self) -> Ints:
        """How many rows each run has."""
        return self.last - self.first + 1

    def total(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The sum of each run; of conditions, how often they hold."""
        wide = values.astype(np.int64) if values.dtype == np.bool_ else values
        total: npt.NDArray[Any] = np.add.reduceat(wide, self.first)
        return total

    def any(self, condition: Bools) -> Bools:
        """Whether it holds for a row of each run."""
        holds: Bools = np.logical_or.reduceat(condition, self.first)
        return holds

    def least(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The smallest of each run."""
        least: npt.NDArray[Any] = np.minimum.reduceat(values, self.first)
        return least

    def most(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The greatest of each run."""
        most: npt.NDArray[Any] = np.maximum.reduceat(values, self.first)
        return most


def added_up(parts: Records, order: Sequence[str], keys: Sequence[str]) -> Records:
    """One row per key: the fields from `event_count` on added up, the others as in the last of its parts.

    Args:
        parts: a structured array.
        order: its fields by which the parts are sorted, the first one last (as np.lexsort has it); ends with the keys.
        keys: the grain of the answer, which is sorted by them.
    """
    rows = parts[np.lexsort([parts[name] for name in order])]
    runs = Runs.of(*(rows[name] for name in keys))
    together: Records = rows[runs.last]
    fields = rows.dtype.names or ()
    for name in fields[fields.index("event_count") :]:
        together[name] = runs.total(rows[name])
    return together
