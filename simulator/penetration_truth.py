"""The truth about how much of its market the product has won."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from simulator.frames import Truth, dates, known_where
from simulator.growth_truth import WEEK, Rolling
from simulator.market_truth import COUNTED, countries, latest
from simulator.product import Floats, Ints, Product
from simulator.segments import by_segment

MONTH = 28
MARKETS = {
    "users_per_million_people": "population",
    "users_per_million_mobile_subscriptions": "mobile_subscriptions",
}


def penetration_truth(product: Product, rolling: Rolling) -> Truth:
    """The frame about the market.

    Args:
        product: that people use.
        rolling: who was active within which time, by segment.

    Returns:
        market_penetration: as mart_market_penetration.
    """
    listed = countries().assign(total="all").rename(columns={"country_code": "country", "region_name": "region"})
    frames = [
        _penetration(kind, *rolling[kind], listed.loc[~listed["is_aggregate"], kind])
        for kind in ("total", "country", "region", "income_group")
    ]
    rows = pd.concat(frames, ignore_index=True)
    day = rows.pop("number").to_numpy()
    for name in rows.filter(like="_change"):
        rows[name] = known_where(day >= WEEK, rows[name].to_numpy())
    rows["is_full_window"] = day + 1 >= MONTH
    rows.insert(0, "activity_date", dates(product, day))
    return {"market_penetration": rows}


def _penetration(kind: str, values: Sequence[str], counts: Mapping[int, Ints], segments: pd.Series) -> pd.DataFrame:
    """Of one kind of segment; `segments` are those of all countries."""
    users = counts[MONTH]
    columns: dict[str, npt.NDArray[np.generic]] = {"active_users": users}
    for rate, market in MARKETS.items():
        _, newest = latest(COUNTED[market])
        size = pd.Series(newest).groupby(segments).sum().astype(np.int64)[list(values)].to_numpy()[:, None]
        columns[market] = np.broadcast_to(size, users.shape)
        won = 1_000_000 * users / size
        for name, measure in {rate: won, f"{rate}_rank": _ranks(values, won)}.items():
            columns[name], columns[f"{name}_change"] = measure, measure - np.roll(measure, WEEK, axis=1)
    return by_segment(kind, values, columns)


def _ranks(values: Sequence[str], rates: Floats) -> Ints:
    """From 1 for the highest of each day, equal ones by their name."""
    names = np.broadcast_to(np.array(values)[:, None], rates.shape)
    ranks: Ints = np.lexsort((names, -rates), axis=0).argsort(axis=0) + 1
    return ranks
