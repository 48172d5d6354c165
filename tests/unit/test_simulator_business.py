"""The product's business systems: the same day always comes out the same, fits the logs, and could have happened."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import business, warehouse
from simulator.business_tables import CHANGES_A_DAY, contracts, read_table
from simulator.logs import write_day
from simulator.plan import Event, plan_day
from simulator.product import DAY, Product, cohort
from simulator.warehouse import write_days
from tests.unit.test_simulator import read

PRODUCT = Product(seed=8, users=1_000, launch_date=date(2026, 1, 7), story="full")
DAYS = [PRODUCT.date_of(number) for number in range(60)]
CHANGES = ("account_changes", "payments", "subscription_changes")
RATES_OF_THE_ECB = {
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY",
    "KRW", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "USD", "ZAR",
}  # fmt: skip
SUBSCRIBED = """
    select
        subscription_id, min(changed_at) filter (status = 'active') as paid_from,
        max(changed_at) filter (status = 'cancelled') as cancelled_at
    from subscription_changes group by subscription_id
"""
CHARGES = f"""
    select *, row_number() over (partition by subscription_id order by paid_at) as place
    from payments join ({SUBSCRIBED}) using (subscription_id) where kind = 'charge' and status = 'pending'
"""
# Months apart to the millisecond; the other charges repeat one that failed.
BILLS = f"select * from ({CHARGES}) where epoch_ms(paid_at) % 86_400_000 = epoch_ms(paid_from) % 86_400_000"

Database: TypeAlias = "duckdb.DuckDBPyConnection"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse after 60 days."""
    path = tmp_path_factory.mktemp("warehouse") / "upstream" / "warehouse.duckdb"
    write_days(PRODUCT, DAYS, path)
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with opened(path) as connection:
        yield connection


def opened(path: Path) -> Database:
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute("use business")
    return connection


def content(path: Path) -> dict[str, list[Any]]:
    with opened(path) as connection:
        return {table: connection.execute(f"from {table} order by all").fetchall() for table in contracts()}


def forget_plans() -> None:
    for remembered in (cohort, plan_day, business.sign_up_moments, business.account_changes, business.subscriptions):
        remembered.cache_clear()


def faults(database: Database, question: str) -> int:
    """The number of rows that a query finds."""
    [(count,)] = database.execute(f"select count(*) from ({question})").fetchall()
    return int(count)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), day=st.integers(0, 120), story=st.sampled_from(["off", "launch", "full"]))
def test_a_day_is_the_same_alone_and_after_others(seed: int, day: int, story: Any) -> None:
    product = Product(seed=seed, users=40, story=story)
    forget_plans()
    alone = {table: read_table(product, table, day) for table in contracts()}
    forget_plans()
    for other in (day + 3, max(0, day - 1), 0):
        for table in contracts():
            read_table(product, table, other)
    for table, rows in alone.items():
        rows.validate(full=True)
        assert rows.equals(read_table(product, table, day)), table


def test_another_process_in_another_time_zone_makes_the_same_day() -> None:
    code = (
        "import datetime, simulator.business_tables as tables, simulator.product as product;"
        "small = product.Product(seed=8, users=1_000, launch_date=datetime.date(2026, 1, 7), story='full');"
        "print([tables.read_table(small, table, 20).to_pylist() for table in tables.contracts()])"
    )
    environment = {"TZ": "Asia/Kathmandu", "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "1"}
    there = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    here = [read_table(PRODUCT, table, 20).to_pylist() for table in contracts()]
    assert there.stdout.decode().strip() == str(here)


def test_days_in_any_order_and_again_make_the_same_warehouse(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "warehouse.duckdb"
    assert write_days(PRODUCT, DAYS[10:], f"duckdb://{other}") > 0
    for days in ([DAYS[5]], DAYS[:10], [DAYS[59], DAYS[30]]):
        write_days(PRODUCT, days, other)
    assert content(other) == content(path)


def test_a_day_written_again_replaces_whatever_it_held(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "warehouse.duckdb"
    write_days(PRODUCT, DAYS, other)
    with duckdb.connect(str(other)) as connection:
        connection.execute("delete from business.payments where changed_at::date = '2026-02-01'")
        connection.execute("update business.account_changes set email = 'x' where changed_at::date = '2026-02-01'")
    assert content(other) != content(path)
    write_days(PRODUCT, [date(2026, 2, 1)], other)
    assert content(other) == content(path)


def test_an_older_day_written_again_shrinks_no_snapshot(tmp_path: Path) -> None:
    other = tmp_path / "warehouse.duckdb"
    write_days(PRODUCT, DAYS[:5], other)
    assigned = len(content(other)["experiment_assignments"])
    write_days(PRODUCT, [DAYS[0]], other)
    assert len(content(other)["experiment_assignments"]) == assigned
    write_days(PRODUCT, [DAYS[5]], other)
    assert len(content(other)["experiment_assignments"]) > assigned


def test_what_fails_on_its_way_leaves_the_warehouse_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "warehouse.duckdb"
    write_days(PRODUCT, DAYS[:2], other)
    before = content(other)

    def fail_at_last(product: Product, table: str, day: int) -> Any:
        if table == "titles":
            raise OSError("no space left")
        return read_table(product, table, day)

    monkeypatch.setattr(warehouse, "read_table", fail_at_last)
    with pytest.raises(OSError, match="no space left"):
        write_days(PRODUCT, DAYS[1:4], other)
    assert content(other) == before


def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before the launch"):
        write_days(PRODUCT, [PRODUCT.launch_date - timedelta(days=1)], tmp_path / "warehouse.duckdb")
    with pytest.raises(ValueError, match="no writer for mysql:// databases"):
        write_days(PRODUCT, DAYS, "mysql://user:pass://word@host/database")
    assert write_days(PRODUCT, [], tmp_path / "warehouse.duckdb") == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("table", contracts())
def test_a_table_is_as_its_contract_says(database: Database, table: str) -> None:
    contract = contracts()[table]
    described = database.execute(f"describe {table}").fetchall()
    assert [(name, kind.lower(), nullable == "YES") for name, kind, nullable, *_ in described] == [
        (column.name, column.type, column.nullable) for column in contract.columns
    ]
    assert tuple(name for name, _, _, key, *_ in described if key == "PRI") == contract.key
    assert faults(database, f"from {table}") > 0
    for column in contract.columns:
        if column.enum:
            values = database.execute(f"select distinct {column.name} from {table}").fetchall()
            assert {value for (value,) in values} == set(column.enum)


@pytest.mark.parametrize("table", CHANGES)
def test_change_ids_are_unique_and_grow_with_time(database: Database, table: str) -> None:
    rows = database.execute(f"select change_id, changed_at from {table} order by change_id").fetchall()
    assert len({number for number, _ in rows}) == len(rows)
    assert [moment for _, moment in rows] == sorted(moment for _, moment in rows)
    assert all(moment.date() == PRODUCT.date_of(number // CHANGES_A_DAY) for number, moment in rows)


@pytest.mark.parametrize(
    ("child", "parent", "keys"),
    [
        ("subscription_changes", "account_changes", ["user_id"]),
        ("payments", "account_changes", ["user_id"]),
        ("payments", "subscription_changes", ["subscription_id", "user_id", "currency_code"]),
        ("payments", "plans", ["currency_code"]),
        ("subscription_changes", "plans", ["plan_id", "currency_code"]),
        ("experiment_assignments", "account_changes", ["user_id"]),
        ("account_changes", "experiment_assignments", ["user_id"]),
        ("experiment_assignments", "experiments", ["experiment_id"]),
        ("experiments", "experiment_assignments", ["experiment_id"]),
    ],
)
def test_what_a_table_refers_to_is_there(database: Database, child: str, parent: str, keys: list[str]) -> None:
    assert faults(database, f"from {child} anti join {parent} using ({', '.join(keys)})") == 0


def test_an_account_is_created_once_changes_and_closes_at_last(database: Database) -> None:
    lives = """
        select
            user_id, list(change_type order by change_id) as types, count(distinct created_at) as creations,
            min(changed_at) = min(created_at) as begins_created,
            min(changed_at) filter (change_type = 'updated')::date = min(created_at)::date as is_updated_at_once
        from account_changes group by user_id
    """
    assert faults(database, f"from ({lives}) where creations > 1 or not begins_created or types[1] <> 'created'") == 0
    assert faults(database, f"from ({lives}) where len(list_filter(types, lambda t: t = 'created')) > 1") == 0
    assert faults(database, f"from ({lives}) where list_contains(types[:-2], 'closed')") == 0
    assert faults(database, f"from ({lives}) where types[-1] = 'closed'") > 0
    assert faults(database, f"from ({lives}) where is_updated_at_once") > 0
    assert faults(database, f"from ({lives})") == sum(
        int((business.sign_up_moments(PRODUCT, day) < 60 * DAY).sum()) for day in range(60)
    )


def test_each_update_changes_something_and_some_return_or_share_their_moment(database: Database) -> None:
    state = "(email, country_code, has_marketing_consent)"
    steps = f"""
        select *, lag({state}) over life as before, lag({state}, 2) over life as long_before,
            changed_at - lag(changed_at) over life as since
        from account_changes window life as (partition by user_id order by change_id)
    """
    assert faults(database, f"from ({steps}) where change_type = 'updated' and {state} = before") == 0
    assert faults(database, f"from ({steps}) where change_type = 'closed' and {state} <> before") == 0
    for wanted in (f"{state} = long_before", "since = interval 0 seconds", "since between '1ms' and '1s'"):
        assert faults(database, f"from ({steps}) where change_type = 'updated' and {wanted}") > 0, wanted
    unchanging = "full_name, birth_date, acquisition_platform, created_at"
    people = f"select user_id, count(distinct ({unchanging})) as faces from account_changes group by user_id"
    assert faults(database, f"from ({people}) where faces > 1") == 0


def test_people_have_planted_personal_values(database: Database) -> None:
    people = database.execute("select email, full_name, birth_date, country_code from account_changes").fetchall()
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+\.\d+@example\.(com|org|net)", email) for email, *_ in people)
    names = {name for _, name, *_ in people}
    assert None in names
    assert any(name and not name.isascii() for name in names)
    births = [born for *_, born, _ in people]
    assert 0 < births.count(None) < 0.3 * len(births)
    assert all(1940 <= born.year <= 2010 for born in births if born)
    assert "NA" in {country for *_, country in people}


def test_two_accounts_never_share_an_address(database: Database) -> None:
    assert faults(database, "select email from account_changes group by email having count(distinct user_id) > 1") == 0


def test_a_subscription_begins_with_a_trial_and_ends_once(database: Database) -> None:
    lives = """
        select
            user_id, subscription_id, string_agg(status[1], '' order by change_id) as path,
            min(changed_at) as begun, max(changed_at) as last_changed,
            list(plan_id order by change_id) as plans, count(distinct currency_code) as currencies
        from subscription_changes group by all
    """
    paths = {path for (path,) in database.execute(f"select path from ({lives})").fetchall()}
    assert all(re.fullmatch("t(a{0,3})c?", path) for path in paths)
    assert paths >= {"t", "tc", "ta", "tac", "taa", "taaa"}
    assert faults(database, f"from ({lives}) where currencies > 1") == 0
    assert faults(database, f"from ({lives}) where path[1:3] = 'taa' and plans[2] = plans[3]") == 0
    again = f"select *, lag(last_changed) over (partition by user_id order by begun) as freed from ({lives})"
    assert faults(database, f"from ({again}) where begun <= freed") == 0
    assert faults(database, f"from ({again}) where freed is not null") > 0


def test_nobody_subscribes_before_the_sign_up_or_stays_after_closing(database: Database) -> None:
    accounts = """
        select user_id, min(created_at) as created_at, max(changed_at) filter (change_type = 'closed') as closed_at
        from account_changes group by user_id
    """
    changes = f"from subscription_changes join ({accounts}) using (user_id)"
    assert faults(database, f"{changes} where changed_at <= created_at or changed_at > closed_at") == 0
    assert faults(database, f"{changes} where changed_at = closed_at and status = 'cancelled'") > 0
    assert faults(database, f"from ({BILLS}) join ({accounts}) using (user_id) where paid_at >= closed_at") == 0


def test_about_half_of_the_users_subscribe_and_most_of_them_pay(database: Database) -> None:
    count = "select count(distinct user_id)::double from"
    [(accounts, subscribers, payers)] = database.execute(
        f"select ({count} account_changes), ({count} subscription_changes), ({count} payments)"
    ).fetchall()
    assert 0.5 < subscribers / accounts < 0.6
    assert 0.5 < payers / subscribers < 0.9


def test_a_payment_is_asked_for_once_and_then_settles_or_fails(database: Database) -> None:
    lives = """
        select
            payment_id, kind, list(status order by change_id) as path, max(changed_at) - min(changed_at) as took,
            min(changed_at) = min(paid_at) as begins_when_paid,
            count(distinct (subscription_id, user_id, kind, amount, currency_code, paid_at)) as faces
        from payments group by all
    """
    known = [["pending"], ["pending", "settled"], ["pending", "failed"]]
    paths = {(kind, *path) for kind, path in database.execute(f"select kind, path from ({lives})").fetchall()}
    assert paths <= {(kind, *path) for kind in ("charge", "refund") for path in known}
    assert paths >= {("charge", *path) for path in known} | {("refund", "pending", "settled")}
    assert faults(database, f"from ({lives}) where faces > 1 or not begins_when_paid") == 0
    assert faults(database, f"from ({lives}) where len(path) = 2 and took not between '1m' and '2 days'") == 0


def test_bills_are_charged_monthly_while_the_subscription_is_paid_for(database: Database) -> None:
    now = datetime.combine(DAYS[-1], datetime.max.time())
    due = {
        (subscription, paid_from + month * timedelta(days=30))
        for subscription, paid_from, cancelled_at in database.execute(SUBSCRIBED).fetchall()
        for month in range(3)
        if paid_from and paid_from + month * timedelta(days=30) < (cancelled_at or now)
    }
    assert set(database.execute(f"select subscription_id, paid_at from ({BILLS})").fetchall()) == due
    assert faults(database, f"from ({CHARGES}) where place = 1 and paid_at <> paid_from") == 0


def test_a_failed_charge_is_repeated_and_a_settled_one_sometimes_refunded(database: Database) -> None:
    outcomes = "select subscription_id, changed_at, amount as charged, status from payments where kind = 'charge'"
    asked = "select * from payments where status = 'pending'"
    repeated = f"({asked}) anti join ({BILLS}) using (payment_id) where kind = 'charge'"
    for effect, cause in ((repeated, "failed"), (f"({asked}) where kind = 'refund'", "settled")):
        caused = f"""
            from (select subscription_id, changed_at, amount from {effect})
            asof left join ({outcomes} and status = '{cause}') using (subscription_id, changed_at)
        """
        assert faults(database, caused) > 0
        assert faults(database, f"select * {caused} where charged is distinct from amount") == 0
    failed = f"select payment_id from payments where status = 'failed' and changed_at < timestamp '{DAYS[-4]}'"
    assert faults(database, f"from ({BILLS}) semi join ({failed}) using (payment_id)") > 0
    assert faults(database, f"from ({BILLS}) semi join ({failed}) using (payment_id)") <= faults(
        database, f"from {repeated}"
    )


def test_amounts_are_the_prices_of_the_plans_to_the_last_digit(database: Database) -> None:
    paid = database.execute("select distinct amount, currency_code from payments").fetchall()
    prices = database.execute("select monthly_price, currency_code from plans").fetchall()
    assert set(paid) <= set(prices)
    assert len(set(prices)) == 36
    assert all(amount % 1 == 0 for amount, currency in prices if currency in {"JPY", "IDR"})
    assert (Decimal("9.9900"), "USD") in prices
    assert {currency for _, currency in prices} <= RATES_OF_THE_ECB
    priced = f"""
        from (select subscription_id, paid_at as changed_at, currency_code, amount from ({BILLS})) bill
        asof join (select subscription_id, changed_at, plan_id from subscription_changes)
            using (subscription_id, changed_at)
        join plans using (plan_id, currency_code)
    """
    assert faults(database, f"select * {priced}") == faults(database, BILLS)
    assert faults(database, f"select * {priced} where amount <> monthly_price") == 0


def test_accounts_are_the_users_who_sign_up_in_the_logs(database: Database, tmp_path: Path) -> None:
    for day in DAYS[:9]:
        write_day(PRODUCT, day, tmp_path)
    columns = "user_id, acquisition_platform, country_code, created_at"
    made = database.execute(f"select {columns} from account_changes where change_type = 'created'").fetchall()
    accounts = {user: rest for user, *rest in made}
    events = [event for _, event in read(tmp_path) if event]
    sign_ups = {event["user_id"]: event for event in events if event["event_name"] == "sign_up"}
    assert {event["user_id"] for event in events} - {None} <= accounts.keys()
    old = {user for user, (*_, made_at) in accounts.items() if made_at.date() <= DAYS[5]}
    assert 0.97 * len(old) < len(old & sign_ups.keys()) < len(old)  # some were lost or damaged on their way
    exact = 0
    for user, event in sign_ups.items():
        platform, country, made_at = accounts[user]
        assert (event["platform"], event["country_code"]) == (platform, country)
        exact += datetime.fromisoformat(event["occurred_at"]).replace(tzinfo=None) == made_at
    assert 0.95 * len(sign_ups) < exact < len(sign_ups)  # the others' clocks are wrong


def test_a_sign_up_whose_event_the_dark_swallowed_has_an_account_all_the_same() -> None:
    product = replace(PRODUCT, users=60_000)
    day = 40
    plan = plan_day(product, day)
    users = business.users_of(product, day)
    made = business.sign_up_moments(product, day)
    assert (plan.events["kind"] == Event.SIGN_UP).sum() < len(users) == len(made)
    assert (made >= business.first_starts(users)).all()


def test_an_assignment_is_older_than_any_exposure(database: Database) -> None:
    made = "select user_id, created_at from account_changes where change_type = 'created'"
    late = f"from experiment_assignments join ({made}) using (user_id)"
    assert faults(database, f"{late} where assigned_at not between created_at - interval 1 hour and created_at") == 0
