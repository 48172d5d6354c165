"""The planted truth against a plain reading of what was written, line by line, by the definitions alone."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from simulator.api_server import serving
from simulator.business import sign_up_moments
from simulator.frames import Truth
from simulator.market import FIRST_YEAR, INDICATORS, LAST_YEAR
from simulator.market_truth import COUNTED, MEASURED, market_truth
from simulator.product import DAY, Product
from simulator.truth import happened, knowable, write_truth
from simulator.verdict import PUBLISHED
from tests.unit.conftest import Account
from tests.unit.logged import ACTIVITY, LAST, OPENING, TINY, Session, calendar, records, rows, share

OTHERS = {
    *("account_versions", "accounts_daily", "subscription_changes", "subscriptions_daily", "payments"),
    *(
        "payments_daily",
        "revenue_daily",
        "dates",
        "landed_dates",
        "landed_dates",
        "titles",
        "plans",
        "experiments",
        "fx_rates",
    ),
    *("countries", "country_indicators", "country_stats", "region_stats", "year_stats", "business_climate"),
}
FRAMES = PUBLISHED.keys() - OTHERS | {"delivery_daily"}


def test_active_users_are_those_of_the_logs(truth: Truth, logged: list[Session]) -> None:
    users: dict[tuple[str, date], set[str]] = defaultdict(set)
    for events in logged:
        names = {event["event_name"] for event in events}
        if names & ACTIVITY and not any(event["user"] for event in events):
            users["anonymous", events[0]["day"]].add(events[0]["device_id"])
        for event in events:
            if event["user"] and event["event_name"] in OPENING:
                users["opened", event["day"]].add(event["user"])
            if event["user"] and event["event_name"] in ACTIVITY:
                users["active", event["day"]].add(event["user"])
    active, opened, anonymous = (
        [len(users[kind, day]) for day in calendar()] for kind in ("active", "opened", "anonymous")
    )
    is_provisional = [day > LAST - timedelta(days=3) for day in calendar()]
    expected = zip(calendar(), active, active, opened, anonymous, is_provisional, strict=True)
    assert rows(truth["active_users_daily"]) == [(*row, False) for row in expected]


def test_sessions_are_those_of_the_logs(truth: Truth, logged: list[Session]) -> None:
    counts = {day: [0, 0, 0] for day in [*calendar(), LAST + timedelta(days=1)]}
    for events in logged:
        names = {event["event_name"] for event in events}
        is_started = "app_start" in names
        for place, counts_it in enumerate([True, is_started, is_started and "app_crash" not in names]):
            counts[events[0]["day"]][place] += counts_it
    assert rows(truth["sessions_daily"]) == [(day, *counts[day]) for day in calendar()]


def test_daily_retention_is_that_of_the_accounts_in_the_logs(
    truth: Truth, active: set[tuple[str, date]], accounts: dict[str, Account]
) -> None:
    expected = []
    for day in calendar():
        users = [user for user, (cohort, *_) in accounts.items() if cohort == day]
        for number in range(29):
            then = day + timedelta(days=number)
            retained = sum((user, then) in active for user in users) if then <= LAST else None
            rate = None if retained is None else share(retained, len(users))
            expected.append((day, number, len(users), retained, rate))
    assert rows(truth["retention_daily"]) == expected


def test_weekly_retention_is_that_of_the_accounts_in_the_logs(
    truth: Truth, active: set[tuple[str, date]], accounts: dict[str, Account]
) -> None:
    expected = []
    for monday in sorted({day - timedelta(days=day.weekday()) for day in calendar()}):
        users = [user for user, (cohort, *_) in accounts.items() if timedelta(0) <= cohort - monday < timedelta(days=7)]
        for week in range(9):
            retained = sum(
                any((user, accounts[user][0] + timedelta(days=7 * week + day)) in active for day in range(7))
                for user in users
            )
            is_mature = monday + timedelta(days=6 + 7 * week + 6) <= LAST
            expected.append(
                (monday, week, len(users), *((retained, share(retained, len(users))) if is_mature else (None, None)))
            )
    assert rows(truth["retention_weekly"]) == expected


@pytest.mark.parametrize("see", [happened, knowable])
def test_a_truth_has_a_row_for_every_day_and_cell(see: Callable[[Product, date], Truth]) -> None:
    truth = see(TINY, TINY.launch_date)
    assert truth.keys() == FRAMES
    sizes = {
        "active_users_daily": 1, "sessions_daily": 1, "retention_daily": 29, "retention_weekly": 9, "delivery_daily": 1,
        "active_days_distribution": 7 + 28, "retention_driver": 0,
    }  # fmt: skip
    assert {name: len(truth[name]) for name in sizes} == sizes


def test_what_is_knowable_differs_from_what_happened_by_what_went_missing(truth: Truth) -> None:
    real = happened(TINY, LAST)
    delivery = real["delivery_daily"].drop(columns="event_date").sum()
    assert (delivery > 0).all()
    assert delivery.drop("happened_count").sum() < 0.01 * delivery["happened_count"]
    for frame, column in (("active_users_daily", "active_users"), ("sessions_daily", "started_session_count")):
        assert 0.97 * real[frame][column].sum() < truth[frame][column].sum() < real[frame][column].sum()


def test_what_is_knowable_of_a_day_grows_until_three_days_later() -> None:
    views = [knowable(TINY, TINY.date_of(20 + later))["sessions_daily"].iloc[20].to_list() for later in range(6)]
    assert views[0][1] < views[3][1]
    assert views[3] == views[4] == views[5]


@pytest.mark.parametrize("see", [happened, knowable])
def test_cohorts_are_known_without_loss_but_an_account_made_after_midnight_is_in_none_yet(
    see: Callable[[Product, date], Truth],
) -> None:
    product, last = replace(TINY, seed=155), 2  # on that evening someone starts who signs up after midnight
    made = [moment // DAY for day in range(last + 1) for moment in sign_up_moments(product, day)]
    truth = see(product, product.date_of(last))
    sizes = [
        int(truth[name].drop_duplicates(truth[name].columns[0])["cohort_users"].sum())
        for name in ("retention_daily", "retention_weekly")
    ]
    assert sizes == [sum(day <= last for day in made)] * 2
    assert sizes[0] < len(made)


def test_the_truth_about_the_world_is_what_the_stand_in_serves() -> None:
    with serving() as url, httpx.Client(base_url=url, params={"format": "json", "per_page": 32_000}) as client:
        listed = client.get("/v2/country").json()[1]
        values = [row for name in INDICATORS for row in client.get(f"/v2/country/all/indicator/{name}").json()[1]]
    truth = market_truth()
    aggregates = {row["iso2Code"] for row in listed if row["region"]["value"] == "Aggregates"}
    assert set(rows(truth["country_indicators"])) == {
        (code, row["indicator"]["id"], int(row["date"]), row["indicator"]["value"], row["value"], code in aggregates)
        for row in values
        for code in [row["country"]["id"]]
        if row["value"] is not None
    }
    countries = truth["countries"].astype(object).where(truth["countries"].notna(), None)
    assert set(rows(countries)) == {
        (
            *(row["iso2Code"], row["id"], row["name"], is_aggregate),
            *(
                None if is_aggregate else row[group]["value"].strip()
                for group in ("region", "incomeLevel", "lendingType")
            ),
            row["capitalCity"] or None,
            *(float(row[place]) if row[place] else None for place in ("longitude", "latitude")),
        )
        for row in listed
        for is_aggregate in [row["region"]["value"] == "Aggregates"]
    }


def test_the_marts_of_the_world_are_sums_and_latest_values_of_it() -> None:
    truth = market_truth()
    values = {
        key: row["value"]
        for key, row in records(truth["country_indicators"], "country_code", "indicator_id", "year").items()
    }
    listed = {
        code: {name: row[name] for name in ("country_name", "is_aggregate", "region_name", "income_group")}
        for (code,), row in records(truth["countries"], "country_code").items()
    }
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    assert records(truth["country_stats"], "country_code", "year") == {
        (code, year): row | {name: values.get((code, indicator, year)) for name, indicator in COUNTED.items()}
        for code, row in listed.items()
        for year in years
    }

    def totals(codes: list[str], year: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, indicator in COUNTED.items():
            there = [values[code, indicator, year] for code in codes if (code, indicator, year) in values]
            found |= {name: sum(there) if there else None, f"{name}_country_count": len(there)}
        return found

    members: dict[str, list[str]] = defaultdict(list)
    for code, row in listed.items():
        if not row["is_aggregate"]:
            members[row["region_name"]].append(code)
    assert records(truth["region_stats"], "region_name", "year") == {
        (region, year): {"country_count": len(codes)} | totals(codes, year)
        for region, codes in members.items()
        for year in years
    }
    countries = [code for codes in members.values() for code in codes]
    assert records(truth["year_stats"], "year") == {
        (year,): {"country_count": len(countries)}
        | totals(countries, year)
        | {f"naive_{name}": total for name, total in totals(list(listed), year).items() if name in COUNTED}
        for year in years
    }
    climate = records(truth["business_climate"], "country_code")
    for (code,), row in climate.items():
        latest: dict[str, Any] = {}
        for name, indicator in MEASURED.items():
            year = max((year for year in years if (code, indicator, year) in values), default=None)
            latest |= {name: values.get((code, indicator, year)), f"{name}_year": year}
        cost, year = row["startup_cost_percent"], row["startup_cost_percent_year"]
        costs: tuple[Any, Any] = None, None
        if cost and row["gni_usd"]:
            per_head = values[code, "NY.GNP.ATLS.CD", year] / values[code, "SP.POP.TOTL", year]
            costs = pytest.approx(cost / 100 * row["gni_usd"]), pytest.approx(cost / 100 * per_head)
        assert (row.pop("startup_cost_usd"), row.pop("startup_cost_per_head_usd")) == costs
        assert row == listed[code] | latest
    assert truth["business_climate"]["startup_cost_per_head_usd"].notna().sum() > 180


def test_a_written_truth_reads_back_with_dates(tmp_path: Path) -> None:
    write_truth(TINY, TINY.date_of(9), tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")} == {
        f"{side}/{name}.parquet" for side in ("happened", "knowable") for name in FRAMES | OTHERS
    }
    for name, frame in knowable(TINY, TINY.date_of(9)).items():
        written = pd.read_parquet(tmp_path / "knowable" / f"{name}.parquet", dtype_backend="pyarrow")
        dated = [column for column in written.columns if column.endswith("_date")]
        assert all(str(written[column].dtype) == "date32[day][pyarrow]" for column in dated)
        assert rows(written) == rows(frame)
