"""The truth of the business systems, and of what rows are explained with, against a plain reading of their tables."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from simulator import market
from simulator.business import PRICES
from simulator.business_tables import read_table
from simulator.business_truth import business_truth
from simulator.frames import Truth
from simulator.product import Product
from simulator.reference_truth import reference_truth
from simulator.warehouse import write_days
from tests.unit.logged import GROUPS, records, rows

PRODUCT = Product(seed=7, users=1_000, launch_date=date(2026, 1, 7), story="full")
DAYS = [PRODUCT.date_of(number) for number in range(60)]
TRACKED = ("account_status", "country_code", "has_marketing_consent")

Row = dict[str, Any]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The upstream warehouse after 60 days."""
    path = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    write_days(PRODUCT, DAYS, path)
    return path


@pytest.fixture
def database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("use business")
        yield connection


@pytest.fixture(scope="module", params=[59, 17])
def through(request: pytest.FixtureRequest) -> date:
    last: date = DAYS[request.param]
    return last


@pytest.fixture(scope="module")
def truth(through: date) -> Truth:
    return business_truth(PRODUCT, through) | reference_truth(PRODUCT, through)


def told(database: duckdb.DuckDBPyConnection, table: str, through: date) -> list[Row]:
    """The changes until the end of a day, in order."""
    found = database.execute(f"from {table} where changed_at < ?::date + 1 order by changed_at, change_id", [through])
    names = [name for name, *_ in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def by(changes: list[Row], name: str) -> dict[Any, list[Row]]:
    found = defaultdict(list)
    for change in changes:
        found[change[name]].append(change)
    return found


def at(states: list[Row], moment: datetime, since: str) -> Row:
    """The last of the states that began by then."""
    return [state for state in states if state[since] <= moment][-1]


def versions_of(changes: list[Row]) -> list[Row]:
    """What an account was, from when to when, told again whenever it is another."""
    versions: list[Row] = []
    for change in changes:
        is_closed = change["change_type"] == "closed"
        version = {
            "valid_from": change["changed_at"],
            "account_status": "closed" if is_closed else "open",
            **{name: change[name] for name in ("created_at", "country_code", "acquisition_platform")},
            "created_date": change["created_at"].date(),
            "birth_year": change["birth_date"] and change["birth_date"].year,
            "has_marketing_consent": change["has_marketing_consent"],
        }
        if versions and versions[-1]["valid_from"] == version["valid_from"]:
            versions.pop()
        if not versions or any(versions[-1][name] != version[name] for name in TRACKED):
            versions.append(version)
    ends = [version["valid_from"] for version in versions[1:]] + [None]
    return [
        {**version, "valid_to": end, "is_current": end is None} for version, end in zip(versions, ends, strict=True)
    ]


def test_account_versions(database: duckdb.DuckDBPyConnection, through: date, truth: Truth) -> None:
    expected = {
        (user, number): version
        for user, changes in by(told(database, "account_changes", through), "user_id").items()
        for number, version in enumerate(versions_of(changes), start=1)
    }
    assert records(truth["account_versions"], "user_id", "version_number") == expected
    assert {row["account_status"] for row in expected.values()} == {"open", "closed"}
    assert max(number for _, number in expected) > 2


def test_accounts_by_day(database: duckdb.DuckDBPyConnection, through: date, truth: Truth) -> None:
    counted = """
        select day::date, (count(*) filter (change_type = 'created' and changed_at::date = day)),
            (count(*) filter (change_type = 'closed' and changed_at::date = day)),
            (count(*) filter (change_type = 'created')) - (count(*) filter (change_type = 'closed'))
        from range(?::date, ?::date + 1, interval 1 day) as days (day)
        left join account_changes on changed_at < day + interval 1 day group by day order by day
    """
    assert rows(truth["accounts_daily"]) == database.execute(counted, [DAYS[0], through]).fetchall()


def test_subscription_changes(database: duckdb.DuckDBPyConnection, through: date, truth: Truth) -> None:
    expected = {}
    for subscription, changes in by(told(database, "subscription_changes", through), "subscription_id").items():
        for number, change in enumerate(changes, start=1):
            before, after = changes[: number - 1], changes[number:]
            expected[subscription, number] = {
                **{name: change[name] for name in ("user_id", "plan_id", "currency_code", "status", "changed_at")},
                "change_date": change["changed_at"].date(),
                "next_changed_at": after[0]["changed_at"] if after else None,
                "previous_status": before[-1]["status"] if before else None,
                "previous_plan_id": before[-1]["plan_id"] if before else None,
            }
    assert records(truth["subscription_changes"], "subscription_id", "change_number") == expected
    assert {row["status"] for row in expected.values()} >= {"trial", "active"}


def test_subscriptions_by_day(database: duckdb.DuckDBPyConnection, through: date, truth: Truth) -> None:
    states = """
        select
            day::date as date, subscription_id, max_by(status, change_id) as status,
            max_by(plan_id, change_id) as plan_id
        from range(?::date, ?::date + 1, interval 1 day) as days (day)
        join subscription_changes on changed_at < day + interval 1 day group by all
    """
    counted = f"select date, plan_id, count(*) from ({states}) where status = 'active' group by all order by all"
    expected = database.execute(counted, [DAYS[0], through]).fetchall()
    frame = truth["subscriptions_daily"]
    assert len(frame) == 3 * (through - DAYS[0]).days + 3
    assert sorted(rows(frame[frame["active_count"] > 0])) == expected


def dollars(amount: Decimal, currency: str, day: date) -> Decimal:
    """At the rate of that day, to the fourth decimal."""
    of_dollar, of_currency = (
        Decimal(1) if code == "EUR" else Decimal(str(market.rate(code, day))) for code in ("USD", currency)
    )
    return (amount * of_dollar / of_currency).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def test_payments(database: duckdb.DuckDBPyConnection, through: date, truth: Truth) -> None:
    subscriptions = by(told(database, "subscription_changes", through), "subscription_id")
    accounts = {
        user: versions_of(changes)
        for user, changes in by(told(database, "account_changes", through), "user_id").items()
    }
    expected = {}
    for payment, changes in by(told(database, "payments", through), "payment_id").items():
        last = changes[-1]
        paid_at, is_settled = last["paid_at"], last["status"] == "settled"
        worth = dollars(last["amount"], last["currency_code"], paid_at.date())
        sign = -1 if last["kind"] == "refund" else 1
        expected[payment,] = {
            **{name: last[name] for name in ("subscription_id", "user_id", "kind", "status", "amount")},
            **{name: last[name] for name in ("currency_code", "paid_at")},
            "plan_id": at(subscriptions[last["subscription_id"]], paid_at, "changed_at")["plan_id"],
            "country_code": at(accounts[last["user_id"]], paid_at, "valid_from")["country_code"],
            "is_settled": is_settled,
            "paid_date": paid_at.date(),
            "resolved_at": None if last["status"] == "pending" else last["changed_at"],
            "change_count": len(changes),
            "amount_usd": worth,
            "revenue_usd": sign * worth if is_settled else Decimal(0),
        }
    assert records(truth["payments"], "payment_id") == expected
    assert {row["status"] for row in expected.values()} >= {"settled", "failed"}
    if through == DAYS[-1]:
        assert {row["kind"] for row in expected.values()} == {"charge", "refund"}
        moved = [row for row in expected.values() if PRICES[row["country_code"]][0] != row["currency_code"]]
        assert moved, "the country is that of the account at that moment, which may pay in another's currency"


def test_payments_by_day(database: duckdb.DuckDBPyConnection, through: date, truth: Truth) -> None:
    counted = """
        select paid_at::date, currency_code, coalesce(sum(amount) filter (kind = 'charge'), 0),
            coalesce(sum(amount) filter (kind = 'refund'), 0)
        from payments where status = 'settled' and changed_at < ?::date + interval 1 day group by all order by all
    """
    expected = database.execute(counted, [through]).fetchall()
    assert sorted(rows(truth["payments_daily"])) == expected
    assert all(isinstance(amount, Decimal) for *_, charged, refunded in expected for amount in (charged, refunded))


def test_revenue_by_segment(through: date, truth: Truth) -> None:
    """Of the payments, which another test compares with the tables."""
    standing: dict[Any, list[Row]] = {
        (DAYS[0] + timedelta(days=day), "total", "all"): [] for day in range((through - DAYS[0]).days + 1)
    }
    for row in records(truth["payments"], "payment_id").values():
        if row["status"] != "failed":
            country = row["country_code"]
            kinds = {"total": "all", "plan": row["plan_id"], "country": country, **GROUPS[country]}
            for segment in kinds.items():
                standing.setdefault((row["paid_date"], *segment), []).append(row)
    found = records(truth["revenue_daily"], "revenue_date", "segment_type", "segment_value")
    assert found.keys() == standing.keys()
    for key, payments in standing.items():
        settled = [row for row in payments if row["is_settled"]]
        charges, refunds = ([row for row in settled if row["kind"] == kind] for kind in ("charge", "refund"))
        charged, refunded = (sum((row["amount_usd"] for row in part), Decimal(0)) for part in (charges, refunds))
        assert found[key] == {
            "charged_usd": charged,
            "refunded_usd": refunded,
            "revenue_usd": charged - refunded,
            "paying_users": len({row["user_id"] for row in charges}),
            "charge_count": len(charges),
            "refund_count": len(refunds),
            "pending_count": len(payments) - len(settled),
        }
    assert len(found) > 40
    assert sum(row["pending_count"] for row in found.values()) > 0


def test_titles_plans_and_experiments_are_those_of_the_tables(through: date, truth: Truth) -> None:
    day = (through - DAYS[0]).days
    for name, keys, renamed in (
        ("titles", ["title_id"], {"kind": "title_kind"}),
        ("plans", ["plan_id", "currency_code"], {}),
        ("experiments", ["experiment_id"], {}),
    ):
        table = read_table(PRODUCT, name, day).to_pandas().rename(columns=renamed)
        assert records(truth[name], *keys) == records(table, *keys)


def test_the_calendar(through: date, truth: Truth) -> None:
    expected = []
    for number in range((through - DAYS[0]).days + 1):
        day = DAYS[0] + timedelta(days=number)
        quarter = (day.month + 2) // 3
        expected.append(
            (
                *(day, number, day.year, quarter, day.month, day.day),
                *(day.replace(day=1), date(day.year, 3 * quarter - 2, 1)),
                *(int(day.strftime("%G")), int(day.strftime("%V")), day - timedelta(days=day.weekday())),
                *(day.weekday() + 1, day.strftime("%A"), day.weekday() in (5, 6)),
            )
        )
    assert rows(truth["dates"]) == expected


def test_rates_hold_over_weekends_and_holidays(through: date, truth: Truth) -> None:
    found = records(truth["fx_rates"], "rate_date", "currency_code")
    assert len(found) == ((through - DAYS[0]).days + 1) * (len(market.CURRENCIES) + 1)
    ages = set()
    for (day, currency), row in found.items():
        published = day if currency == "EUR" else market.business_day(day)
        ages.add((day - published).days)
        assert row == {
            "published_date": published,
            "age_days": (day - published).days,
            "units_per_eur": Decimal(1) if currency == "EUR" else Decimal(str(market.rate(currency, published))),
            "usd_per_eur": Decimal(str(market.rate("USD", day))),
        }
    assert ages == {0, 1, 2}
