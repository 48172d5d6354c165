"""The planted truth of the business systems. Their tables arrive complete, so what happened is what can be known.

Computed from the plan's arrays; shares no code with the writer of the tables. Money is exact to the last digit.
"""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import numpy as np
import pandas as pd

from simulator import market
from simulator.account_truth import account_truth, account_versions, country_at
from simulator.business import (
    MONTH,
    PLANS,
    PRICES,
    payment_ids,
    payments_of,
    plan_at,
    subscription_ids,
    subscriptions,
    user_ids,
)
from simulator.frames import Truth, dates, ids, moments, money, names
from simulator.plan import NEVER
from simulator.product import COUNTRIES, DAY, Ints, Product, Records
from simulator.runs import Runs
from simulator.segments import split

SMALLEST = Decimal("0.0001")
STATUSES = ("trial", "active", "active", "active", "cancelled")
"""Of a subscription after each of its moments: start, first payment, first and second switch, end."""
REVENUE_SEGMENTS = ("total", "plan", "country", "region", "income_group")
CURRENCIES = [PRICES[country][0] for country in COUNTRIES]
REFUND = 2


def business_truth(product: Product, through: date) -> Truth:
    """What the business systems hold of the days from launch through `through`, as known at its end.

    Returns:
        Beside the frames of account_truth:
        subscription_changes: as fct_subscription_change, without its keys: change_number tells the changes of one
            subscription apart.
        subscriptions_daily: date, plan_id, active_count (paid for, not on trial, at the end of the day).
        payments: as fct_payment. Each is converted and rounded by itself.
        payments_daily: date (of paid_at), currency_code, charged_amount, refunded_amount (settled by the end of
            `through`); only where money was settled.
        revenue_daily: as mart_revenue_daily.

    Raises:
        ValueError: `through` is before the launch.
    """
    days = product.day_of(through) + 1
    versions = account_versions(product, days)
    rows = np.concatenate([subscriptions(product, day) for day in range(days)])
    payments = _payments(product, days, rows, versions)
    settled = payments[payments["is_settled"]]
    standing = payments[payments["is_settled"] | (payments["resolved"] == NEVER)]
    revenue = [_revenue_daily(product, days, standing, kind) for kind in REVENUE_SEGMENTS]
    return {
        **account_truth(product, days, versions),
        "subscription_changes": _subscription_changes(product, days, rows),
        "subscriptions_daily": _subscriptions_daily(product, days, rows),
        "payments": _payment_frame(product, payments),
        "payments_daily": _payments_daily(product, settled),
        "revenue_daily": pd.concat(revenue, ignore_index=True),
    }


def _subscription_changes(product: Product, days: int, rows: Records) -> pd.DataFrame:
    """The moments of a subscription follow each other as STATUSES do; those that never come are NEVER."""
    all_moments = np.column_stack([rows["start"], rows["paid_from"], rows["switched"], rows["end"]])
    row, step = np.nonzero(all_moments < days * DAY)
    moment, runs = all_moments[row, step], Runs.of(row)
    switches = (rows["switched"] < NEVER).sum(axis=1)
    plan = rows["plan"][row, np.where(step == len(STATUSES) - 1, switches[row], np.maximum(step - 1, 0))]
    following = np.append(moment[1:], NEVER)[: len(moment)]
    following[runs.last] = NEVER
    table = pd.DataFrame(
        {
            "subscription_id": ids("sub_", subscription_ids(product, rows[row])),
            "change_number": np.arange(len(row)) - runs.first.repeat(runs.length) + 1,
            "user_id": ids("u_", user_ids(product, rows[row])),
            "plan_id": names(PLANS, plan),
            "currency_code": names(CURRENCIES, rows["country"][row]),
            "status": names(STATUSES, step),
            "changed_at": moments(product, moment),
            "change_date": dates(product, moment // DAY),
            "next_changed_at": moments(product, following),
        }
    )
    for name in ("status", "plan_id"):
        table[f"previous_{name}"] = table[name].shift().mask(table["change_number"] == 1)
    return table


def _subscriptions_daily(product: Product, days: int, rows: Records) -> pd.DataFrame:
    balance = np.zeros((days, len(PLANS)), dtype=np.int64)
    beginnings = [rows["paid_from"], *rows["switched"].T]
    endings = [np.minimum(moments, rows["end"]) for moments in (*rows["switched"].T, rows["end"])]
    for plan, begins, ends in zip(rows["plan"].T, beginnings, endings, strict=True):
        for moment, sign in ((begins, 1), (np.where(begins < NEVER, ends, NEVER), -1)):
            is_within = moment < days * DAY
            np.add.at(balance, (moment[is_within] // DAY, plan[is_within]), sign)
    return pd.DataFrame(
        {
            "date": dates(product, np.arange(days).repeat(len(PLANS))),
            "plan_id": np.tile(PLANS, days),
            "active_count": balance.cumsum(axis=0).ravel(),
        }
    )


def _payments(product: Product, days: int, rows: Records, versions: pd.DataFrame) -> pd.DataFrame:
    """Grain: payment asked for within the days, in the plan's numbers. Amounts are in ten-thousandths."""
    rows = rows[rows["paid_from"] < days * DAY]
    months = range(days * DAY // MONTH + 1)
    payments = np.concatenate([payments_of(product, rows, np.full(len(rows), month)) for month in months])
    payments = payments[payments["asked"] < days * DAY]
    prices = np.array([[int(Decimal(price) * 10_000) for price in PRICES[country][1:]] for country in COUNTRIES])
    is_resolved = payments["resolved"] < days * DAY
    table = pd.DataFrame(
        {
            "payment": payment_ids(product, payments),
            "subscription": subscription_ids(product, payments),
            "user": user_ids(product, payments),
            "is_refund": payments["attempt"] == REFUND,
            "is_settled": is_resolved & payments["is_settled"],
            "asked": payments["asked"],
            "day": payments["asked"] // DAY,
            "resolved": np.where(is_resolved, payments["resolved"], NEVER),
            "currency": payments["country"],
            "price": prices[payments["country"], payments["plan"]],
        }
    )
    subscription = _find(subscription_ids(product, rows), table["subscription"])
    table["plan"] = plan_at(rows[subscription], payments["asked"])
    table["country"] = country_at(versions, table["user"], table["asked"])
    table["dollars"] = _in_dollars(product, table)
    return table


def _find(numbers: np.ndarray, wanted: pd.Series) -> Ints:
    """The place of each wanted one among the numbers."""
    order = np.argsort(numbers)
    places: Ints = order[np.searchsorted(numbers[order], wanted)]
    return places


def _in_dollars(product: Product, payments: pd.DataFrame) -> list[int]:
    """Each at the rate of its day or, when none was published, the last before it; in ten-thousandths."""

    @cache
    def convert(day: int, currency: int, price: int) -> int:
        rates = {"EUR": 1.0, **market.rates(product.date_of(day))}
        dollars = Decimal(price).scaleb(-4) * Decimal(str(rates["USD"])) / Decimal(str(rates[CURRENCIES[currency]]))
        return int(dollars.quantize(SMALLEST, ROUND_HALF_UP).scaleb(4))

    return list(map(convert, payments["day"], payments["currency"], payments["price"]))


def _payment_frame(product: Product, payments: pd.DataFrame) -> pd.DataFrame:
    is_resolved, is_settled = payments["resolved"] < NEVER, payments["is_settled"]
    sign = np.where(payments["is_refund"], -1, 1)
    return pd.DataFrame(
        {
            "payment_id": ids("pay_", payments["payment"].to_numpy()),
            "subscription_id": ids("sub_", payments["subscription"].to_numpy()),
            "user_id": ids("u_", payments["user"].to_numpy()),
            "plan_id": names(PLANS, payments["plan"].to_numpy()),
            "country_code": names(list(COUNTRIES), payments["country"].to_numpy()),
            "kind": payments["is_refund"].map({True: "refund", False: "charge"}),
            "status": np.select([is_settled, is_resolved], ["settled", "failed"], "pending"),
            "is_settled": is_settled,
            "amount": money(payments["price"]),
            "currency_code": names(CURRENCIES, payments["currency"].to_numpy()),
            "paid_at": moments(product, payments["asked"].to_numpy()),
            "paid_date": dates(product, payments["day"].to_numpy()),
            "resolved_at": moments(product, payments["resolved"].to_numpy()),
            "change_count": 1 + is_resolved.astype(int),
            "amount_usd": money(payments["dollars"]),
            "revenue_usd": money(payments["dollars"] * is_settled * sign),
        }
    )


def _payments_daily(product: Product, settled: pd.DataFrame) -> pd.DataFrame:
    amounts = pd.DataFrame(
        {
            "day": settled["day"],
            "currency": settled["currency"],
            "charged_amount": settled["price"] * ~settled["is_refund"],
            "refunded_amount": settled["price"] * settled["is_refund"],
        }
    )
    daily = amounts.groupby(["day", "currency"], as_index=False).sum()
    return pd.DataFrame(
        {
            "date": dates(product, daily["day"].to_numpy()),
            "currency_code": names(CURRENCIES, daily["currency"].to_numpy()),
            "charged_amount": money(daily["charged_amount"]),
            "refunded_amount": money(daily["refunded_amount"]),
        }
    )


def _revenue_daily(product: Product, days: int, standing: pd.DataFrame, kind: str) -> pd.DataFrame:
    values, codes = split(kind, {name: standing[name].to_numpy() for name in ("plan", "country")})
    rows = standing.assign(code=codes)
    charges, refunds = (rows[rows["is_settled"] & (rows["is_refund"] == is_refund)] for is_refund in (False, True))
    keys = ["day", "code"]
    daily = pd.DataFrame(
        {
            "charged": charges.groupby(keys)["dollars"].sum(),
            "refunded": refunds.groupby(keys)["dollars"].sum(),
            "paying_users": charges.groupby(keys)["user"].nunique(),
            "charge_count": charges.groupby(keys).size(),
            "refund_count": refunds.groupby(keys).size(),
            "pending_count": rows[~rows["is_settled"]].groupby(keys).size(),
        }
    )
    if kind == "total":
        daily = daily.reindex(pd.MultiIndex.from_product([range(days), [0]], names=keys))
    daily = daily.fillna(0).astype("int64").reset_index()
    return pd.DataFrame(
        {
            "revenue_date": dates(product, daily["day"].to_numpy()),
            "segment_type": kind,
            "segment_value": names(values, daily["code"].to_numpy()),
            "charged_usd": money(daily["charged"]),
            "refunded_usd": money(daily["refunded"]),
            "revenue_usd": money(daily["charged"] - daily["refunded"]),
            **{name: daily[name] for name in ("paying_users", "charge_count", "refund_count", "pending_count")},
        }
    )
