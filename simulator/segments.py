"""The groups by which the truth tells rows apart and counts them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from simulator import market
from simulator.business import PLANS
from simulator.frames import Numbers, versions
from simulator.product import COUNTRIES, PLATFORMS, Bools, Ints

Split = tuple[Sequence[str], Numbers]
"""The values of one kind of segment, and for each row which of them it has."""


def split(kind: str, rows: Mapping[str, Numbers]) -> Split:
    """Tell rows apart by one kind of segment.

    Args:
        kind: total, platform, acquisition_platform, country, region, income_group, app_version, release or plan.
        rows: the numbers of platform, country, release and plan, as far as the kind needs them.
    """
    if kind == "total":
        return ["all"], np.zeros(len(next(iter(rows.values()))), dtype=np.int64)
    if kind in ("region", "income_group"):
        return _by_group(kind, rows["country"])
    if kind in ("app_version", "release"):
        return _by_version(kind, rows)
    values, name = _PLAIN[kind]
    return values, rows[name]


_PLAIN: Mapping[str, tuple[Sequence[str], str]] = {
    "platform": (list(PLATFORMS), "platform"),
    "acquisition_platform": (list(PLATFORMS), "platform"),
    "country": (list(COUNTRIES), "country"),
    "plan": (PLANS, "plan"),
}


def _by_group(kind: str, country: Numbers) -> Split:
    facts = {one.iso2: one for one in market.countries()}
    codes = [facts[code].region if kind == "region" else facts[code].income for code in COUNTRIES]
    groups = [market.AGGREGATES[code][1] for code in codes]
    values = sorted(set(groups))
    return values, np.array([values.index(group) for group in groups])[country]


def _by_version(kind: str, rows: Mapping[str, Numbers]) -> Split:
    known = versions(range(int(max(rows["release"], default=0)) + 1))
    if kind == "app_version":
        return known, rows["release"]
    values = [f"{platform} {version}" for platform in PLATFORMS for version in known]
    return values, rows["platform"].astype(np.int64) * len(known) + rows["release"]


def count(values: int, days: int, which: Numbers, day: Numbers, weights: Numbers | Bools | None = None) -> Ints:
    """How many rows, or how much of `weights`, there is of each segment on each day: values x days."""
    total = np.zeros((values, days), dtype=np.int64)
    np.add.at(total, (which, day), 1 if weights is None else weights)
    return total


def by_segment(kind: str, values: Sequence[str], columns: Mapping[str, npt.NDArray[np.generic]]) -> pd.DataFrame:
    """One row per segment and period, of arrays of values x periods: number, segment_type, segment_value, columns."""
    [(_, periods)] = {array.shape for array in columns.values()}
    return pd.DataFrame(
        {
            "number": np.tile(np.arange(periods), len(values)),
            "segment_type": kind,
            "segment_value": np.repeat(list(values), periods),
            **{name: array.ravel() for name, array in columns.items()},
        }
    )
