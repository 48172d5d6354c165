"""What the truth's frames are made of: the plan's numbers as a release publishes them."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from simulator.plan import NEVER
from simulator.product import Bools, Floats, Ids, Ints, Product

Truth = dict[str, pd.DataFrame]
Numbers = npt.NDArray[np.integer]

MONEY = pd.ArrowDtype(pa.decimal128(38, 4))
RATE = pd.ArrowDtype(pa.decimal128(18, 8))
TEXT = pd.ArrowDtype(pa.string())
NULLABLE = {"b": pd.ArrowDtype(pa.bool_()), "i": pd.ArrowDtype(pa.int64()), "f": pd.ArrowDtype(pa.float64())}


def dates(product: Product, days: Numbers) -> pd.Series:
    """Calendar days, of days since launch."""
    return pd.Series(np.datetime64(product.launch_date) + days, dtype=pd.ArrowDtype(pa.date32()))


def moments(product: Product, milliseconds: Ints) -> pd.Series:
    """Timestamps, of milliseconds since launch; NULL for NEVER."""
    known = np.where(milliseconds < NEVER, milliseconds, 0).astype("timedelta64[ms]")
    stamps = np.datetime64(product.launch_date, "us") + known
    return pd.Series(np.where(milliseconds < NEVER, stamps, np.datetime64("NaT")))


def ids(prefix: str, numbers: Ids, known: Bools | None = None) -> pd.Series:
    """Ids as texts, of the plan's numbers; NULL where it is not known."""
    digits = np.frombuffer(numbers.astype(">u8").tobytes().hex().encode(), "S16")
    texts = pc.binary_join_element_wise(prefix, pa.array(digits).cast(pa.string()), "")
    return pd.Series(texts if known is None else pc.if_else(pa.array(known), texts, None), dtype=TEXT)


def names(texts: Sequence[str | None], numbers: Numbers) -> pd.Series:
    """One of `texts` for each number."""
    return pd.Series(pa.array(texts, pa.string()).take(pa.array(numbers)), dtype=TEXT)


def money(ten_thousandths: Iterable[int]) -> pd.Series:
    """Exact amounts."""
    return pd.Series([Decimal(int(amount)).scaleb(-4) for amount in ten_thousandths], dtype=MONEY)


def known_where(condition: Bools, values: Numbers | Floats | Bools) -> pd.Series:
    """The values, NULL where the condition does not hold."""
    return pd.Series(pa.array(values, mask=~condition), dtype=NULLABLE[values.dtype.kind])


def ratio(part: Numbers, whole: Numbers) -> Floats:
    """Their quotient, NaN where the whole is zero."""
    quotient: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) != 0)
    return quotient


def versions(releases: Iterable[int]) -> list[str]:
    """The versions of the app, of their minor numbers."""
    return [f"1.{release}.0" for release in releases]
