"""The planted truth of the business systems. Their tables arrive complete, so what happened is what can be known.

Computed from the plan's arrays; shares no code with the writer of the tables.
"""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa

from simulator.business import MONTH, PLANS, PRICES, closing_moments, payments_of, sign_up_moments, subscriptions
from simulator.plan import NEVER
from simulator.product import COUNTRIES, DAY, Ints, Product

MONEY = pd.ArrowDtype(pa.decimal128(38, 4))


def business_truth(product: Product, through: date) -> dict[str, pd.DataFrame]:
    """What the business systems hold of the days from launch through `through`, as known at its end.

    Returns:
        accounts_daily: date, created_count, closed_count, open_count (at the end of the day).
        subscriptions_daily: date, plan_id, active_count (paid for, not on trial, at the end of the day).
        payments_daily: date (of paid_at), currency_code, charged_amount, refunded_amount (settled by the end of
            `through`); only where money was settled.

    Raises:
        ValueError: `through` is before the launch.
    """
    days = product.day_of(through) + 1
    return {
        "accounts_daily": _accounts_daily(product, days),
        "subscriptions_daily": _subscriptions_daily(product, days),
        "payments_daily": _payments_daily(product, days),
    }


def _accounts_daily(product: Product, days: int) -> pd.DataFrame:
    created, closed = (
        np.bincount(_days_within(np.concatenate([moments(product, day) for day in range(days)]), days), minlength=days)
        for moments in (sign_up_moments, closing_moments)
    )
    return pd.DataFrame(
        {
            "date": _dates(product, np.arange(days)),
            "created_count": created,
            "closed_count": closed,
            "open_count": (created - closed).cumsum(),
        }
    )


def _subscriptions_daily(product: Product, days: int) -> pd.DataFrame:
    rows = np.concatenate([subscriptions(product, day) for day in range(days)])
    balance = np.zeros((days, len(PLANS)), dtype=np.int64)
    beginnings = [rows["paid_from"], *rows["switched"].T]
    endings = [np.minimum(moments, rows["end"]) for moments in (*rows["switched"].T, rows["end"])]
    for plan, begins, ends in zip(rows["plan"].T, beginnings, endings, strict=True):
        for moments, sign in ((begins, 1), (np.where(begins < NEVER, ends, NEVER), -1)):
            is_within = moments < days * DAY
            np.add.at(balance, (moments[is_within] // DAY, plan[is_within]), sign)
    return pd.DataFrame(
        {
            "date": _dates(product, np.arange(days).repeat(len(PLANS))),
            "plan_id": np.tile(PLANS, days),
            "active_count": balance.cumsum(axis=0).ravel(),
        }
    )


def _payments_daily(product: Product, days: int) -> pd.DataFrame:
    rows = np.concatenate([subscriptions(product, day) for day in range(days)])
    rows = rows[rows["paid_from"] < days * DAY]
    months = range(days * DAY // MONTH + 1)
    payments = np.concatenate([payments_of(product, rows, np.full(len(rows), month)) for month in months])
    payments = payments[payments["is_settled"] & (payments["resolved"] < days * DAY)]
    # In ten-thousandths, so that sums are exact.
    prices = np.array([[int(Decimal(price) * 10_000) for price in PRICES[country][1:]] for country in COUNTRIES])
    price, is_refund = prices[payments["country"], payments["plan"]], payments["attempt"] == 2
    amounts = pd.DataFrame(
        {
            "day": payments["asked"] // DAY,
            "currency_code": np.array([PRICES[country][0] for country in COUNTRIES])[payments["country"]],
            "charged_amount": np.where(is_refund, 0, price),
            "refunded_amount": np.where(is_refund, price, 0),
        }
    )
    daily = amounts.groupby(["day", "currency_code"], as_index=False).sum()
    for name in ("charged_amount", "refunded_amount"):
        daily[name] = pd.Series([Decimal(amount).scaleb(-4) for amount in daily[name]], dtype=MONEY)
    daily.insert(0, "date", _dates(product, daily.pop("day").to_numpy()))
    return daily


def _days_within(moments: Ints, days: int) -> Ints:
    """The days of those moments that are over by the end of the last day."""
    return moments[moments < days * DAY] // DAY


def _dates(product: Product, days: Ints) -> pd.Series:
    return pd.Series(np.datetime64(product.launch_date) + days, dtype=pd.ArrowDtype(pa.date32()))
