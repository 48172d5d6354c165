"""The truth about what other rows are explained with: the calendar, titles, plans, experiments and exchange rates."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd

from simulator import market
from simulator.business import PLANS, PRICES, TRIAL_DAYS
from simulator.catalogue import (
    EXPERIMENT_ENDS,
    EXPERIMENT_GOALS,
    EXPERIMENT_NAMES,
    GENRES,
    TITLE_KINDS,
    TITLE_WORDS,
    titles,
)
from simulator.frames import RATE, TEXT, Truth, dates, moments, money, names
from simulator.product import EXPERIMENTS, Product

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
RATES_HOLD = timedelta(days=7)


def reference_truth(product: Product, through: date) -> Truth:
    """What the days from launch through `through` are explained with.

    Returns:
        dates: as dim_date.
        landed_dates: date_day, has_landed; all of them, for the simulated sources leave no gap.
        titles: as dim_title.
        plans: as dim_plan, without its surrogate key.
        experiments: as dim_experiment.
        fx_rates: as fct_fx_rate_day.

    Raises:
        ValueError: `through` is before the launch.
    """
    days = [product.date_of(day) for day in range(product.day_of(through) + 1)]
    calendar = _dates(product, days)
    return {
        "dates": calendar,
        "landed_dates": calendar[["date_day"]].assign(has_landed=True),
        "titles": _titles(product),
        "plans": _plans(),
        "experiments": _experiments(product),
        "fx_rates": _fx_rates(product, days),
    }


def _dates(product: Product, days: list[date]) -> pd.DataFrame:
    number = np.arange(len(days))
    month, quarter = np.array([day.month for day in days]), np.array([(day.month + 2) // 3 for day in days])
    iso = [day.isocalendar() for day in days]
    weekday = np.array([day.weekday() for day in days])
    month_start = number - np.array([day.day - 1 for day in days])
    quarter_start = [(day - date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)).days for day in days]
    return pd.DataFrame(
        {
            "date_day": dates(product, number),
            "launch_day_number": number,
            "year": [day.year for day in days],
            "quarter": quarter,
            "month": month,
            "day_of_month": [day.day for day in days],
            "month_start_date": dates(product, month_start),
            "quarter_start_date": dates(product, number - quarter_start),
            "iso_year": [year for year, _, _ in iso],
            "iso_week": [week for _, week, _ in iso],
            "week_start_date": dates(product, number - weekday),
            "day_of_week": [day for _, _, day in iso],
            "weekday_name": names(WEEKDAYS, weekday),
            "is_weekend": weekday >= 5,
        }
    )


def _titles(product: Product) -> pd.DataFrame:
    rows = titles(product)
    seconds = pd.Series(60 * rows["minutes"].astype(np.int64), dtype="Int64")
    return pd.DataFrame(
        {
            "title_id": [f"title_{number}" for number in range(len(rows))],
            "title_name": [
                " ".join(["The", *(words[place] for words, place in zip(TITLE_WORDS, which, strict=True))])
                for which in rows["words"]
            ],
            "title_kind": names(TITLE_KINDS, rows["kind"]),
            "genre": names(GENRES, rows["genre"]),
            "release_year": rows["release_year"],
            "runtime_seconds": seconds.mask(names(TITLE_KINDS, rows["kind"]) == "series"),
        }
    )


def _plans() -> pd.DataFrame:
    rows = [
        (plan, currency, plan.capitalize(), int(Decimal(price) * 10_000), trial)
        for currency, *prices in PRICES.values()
        for plan, price, trial in zip(PLANS, prices, TRIAL_DAYS, strict=True)
    ]
    plans = pd.DataFrame(rows, columns=["plan_id", "currency_code", "plan_name", "monthly_price", "trial_days"])
    return plans.assign(monthly_price=money(plans["monthly_price"]))


def _experiments(product: Product) -> pd.DataFrame:
    count = len(EXPERIMENTS)
    return pd.DataFrame(
        {
            "experiment_id": EXPERIMENTS,
            "experiment_name": EXPERIMENT_NAMES,
            "goal_metric": EXPERIMENT_GOALS,
            "started_at": moments(product, np.zeros(count, dtype=np.int64)),
            "ended_at": moments(product, EXPERIMENT_ENDS),
            "treatment_share": money([5_000] * count),
        }
    )


def _fx_rates(product: Product, days: list[date]) -> pd.DataFrame:
    """A day without rates has the last ones before it."""
    rows: list[tuple[date, str, date, int, float, float | None]] = []
    for day in days:
        published = market.business_day(day)
        known = market.rates(day) if day - published <= RATES_HOLD else {}
        age, dollars = (day - published).days, known.get("USD")
        rows += [(day, "EUR", day, 0, 1.0, dollars)]
        rows += [(day, currency, published, age, rate, dollars) for currency, rate in known.items()]
    columns = ["rate_date", "currency_code", "published_date", "age_days", "units_per_eur", "usd_per_eur"]
    table = pd.DataFrame(rows, columns=columns).astype({"currency_code": TEXT})
    for name in ("rate_date", "published_date"):
        table[name] = dates(product, np.array([(day - product.launch_date).days for day in table[name]]))
    for name in ("units_per_eur", "usd_per_eur"):
        table[name] = pd.Series([rate and Decimal(str(rate)) for rate in table[name]], dtype=RATE)
    return table
