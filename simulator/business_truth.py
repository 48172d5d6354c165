"""The planted truth of the business systems. Their tables arrive complete, so what happened is what can be known.

Computed from the plan's arrays; shares no code with the writer of the tables. Money is exact to the last digit.
"""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pyarrow as pa

from simulator import market
from simulator.business import MONTH, PLANS, PRICES, closing_moments, payments_of, sign_up_moments, subscriptions
from simulator.plan import NEVER
from simulator.product import COUNTRIES, DAY, Ints, Product

MONEY = pd.ArrowDtype(pa.decimal128(38, 4))
SMALLEST = Decimal("0.0001")


def business_truth(product: Product, through: date) -> dict[str, pd.DataFrame]:
    """What the business systems hold of the days from launch through `through`, as known at its end.

    Returns:
        accounts_daily: date, created_count, closed_count, open_count (at the end of the day).
        subscriptions_daily: date, plan_id, active_count (paid for, not on trial, at the end of the day).
        payments_daily: date (of paid_at), currency_code, charged_amount, refunded_amount (settled by the end of
            `through`); only where money was settled.
        revenue_daily: date (of paid_at), revenue_usd: what was charged less what was refunded, each payment converted
            and rounded by itself.

    Raises:
        ValueError: `through` is before the launch.
    """
    days = product.day_of(through) + 1
    settled = _settled_payments(product, days)
    return {
        "accounts_daily": _accounts_daily(product, days),
        "subscriptions_daily": _subscriptions_daily(product, days),
        "payments_daily": _payments_daily(product, settled),
        "revenue_daily": _revenue_daily(product, settled),
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


def _settled_payments(product: Product, days: int) -> pd.DataFrame:
    """How many payments of one price there are: day, currency_code, price (in ten-thousandths), is_refund, count."""
    rows = np.concatenate([subscriptions(product, day) for day in range(days)])
    rows = rows[rows["paid_from"] < days * DAY]
    months = range(days * DAY // MONTH + 1)
    payments = np.concatenate([payments_of(product, rows, np.full(len(rows), month)) for month in months])
    payments = payments[payments["is_settled"] & (payments["resolved"] < days * DAY)]
    prices = np.array([[int(Decimal(price) * 10_000) for price in PRICES[country][1:]] for country in COUNTRIES])
    settled = pd.DataFrame(
        {
            "day": payments["asked"] // DAY,
            "currency_code": np.array([PRICES[country][0] for country in COUNTRIES])[payments["country"]],
            "price": prices[payments["country"], payments["plan"]],
            "is_refund": payments["attempt"] == 2,
        }
    )
    return settled.value_counts().reset_index()


def _payments_daily(product: Product, settled: pd.DataFrame) -> pd.DataFrame:
    amounts = settled[["day", "currency_code"]].assign(
        charged_amount=settled["price"] * settled["count"] * ~settled["is_refund"],
        refunded_amount=settled["price"] * settled["count"] * settled["is_refund"],
    )
    return _money_daily(product, amounts.groupby(["day", "currency_code"], as_index=False).sum())


def _revenue_daily(product: Product, settled: pd.DataFrame) -> pd.DataFrame:
    dollars = [
        _in_dollars(Decimal(price).scaleb(-4), currency, product.date_of(day))
        for day, currency, price in settled[["day", "currency_code", "price"]].itertuples(index=False, name=None)
    ]
    amounts = pd.DataFrame(
        {
            "day": settled["day"],
            "revenue_usd": [int(amount.scaleb(4)) for amount in dollars]
            * settled["count"]
            * np.where(settled["is_refund"], -1, 1),
        }
    )
    return _money_daily(product, amounts.groupby("day", as_index=False).sum())


def _in_dollars(amount: Decimal, currency: str, day: date) -> Decimal:
    """At the rate of that day or, when none was published, the last before it."""
    rates = {"EUR": 1.0, **market.rates(day)}
    dollars = amount * Decimal(str(rates["USD"])) / Decimal(str(rates[currency]))
    return dollars.quantize(SMALLEST, ROUND_HALF_UP)


def _money_daily(product: Product, daily: pd.DataFrame) -> pd.DataFrame:
    """With dates for days, and amounts for ten-thousandths."""
    for name in daily.columns.drop(["day", "currency_code"], errors="ignore"):
        daily[name] = pd.Series([Decimal(amount).scaleb(-4) for amount in daily[name]], dtype=MONEY)
    daily.insert(0, "date", _dates(product, daily.pop("day").to_numpy()))
    return daily


def _days_within(moments: Ints, days: int) -> Ints:
    """The days of those moments that are over by the end of the last day."""
    return moments[moments < days * DAY] // DAY


def _dates(product: Product, days: Ints) -> pd.Series:
    return pd.Series(np.datetime64(product.launch_date) + days, dtype=pd.ArrowDtype(pa.date32()))
