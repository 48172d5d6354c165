"""What a profile measures and what it finds odd, on landings made by hand: each oddity once, and none on clean ones."""

from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.profile.declared import Declared, DeclaredColumn
from quality.profile.findings import Table
from quality.profile.keys import LARGEST_KEY, SAMPLE_ROWS, SHOWN_KEYS, find_keys
from quality.profile.relation import RELATION
from quality.profile.times import BOUNDS
from tests.unit.landed import LAUNCH, profiled

# 400 orders a day; nothing in it is odd. Each column can be replaced by a test.
CLEAN = {
    "order_id": "day_number * 1000 + number",
    "ordered_at": "timestamp '{day}' + to_seconds(number * 215)",
    "status": "['paid', 'sent', 'returned'][number % 3 + 1]",
    "country_code": "['NA', 'US', 'DE', 'IN'][number % 4 + 1]",
    "amount": "(5 + hash(number, day_number) % 4000 / 100)::decimal(18,4)",
    "note": "if(number % 5 = 0, 'note ' || number, null)",
}
DAYS = 10


def orders(rows: str = "400", **columns: str) -> list[str]:
    """The queries of ten days; in `columns`, SQL over `number` (of the row) and `day_number`."""
    selected = ", ".join(f"({sql}) as {name}" for name, sql in (CLEAN | columns).items())
    query = f"select {selected} from range({rows}) _(number)"
    return [query.replace("day_number", str(number)) for number in range(DAYS)]


def said(table: Table) -> list[tuple[str, str, str]]:
    """What is odd, without the evidence."""
    return [(one.weight, one.column, one.says) for one in table.suspicions]


def day(number: int) -> date:
    return LAUNCH + timedelta(days=number)


def column(table: Table, name: str) -> Any:
    return next(one for one in table.columns if one.name == name)


def test_nothing_is_odd_about_clean_data(tmp_path: Path) -> None:
    table = profiled(tmp_path, orders(), event_time="ordered_at")
    assert said(table) == []
    assert table.rows == 4000
    assert table.grain.keys == (("order_id",), ("ordered_at",))
    assert (table.missing_days, table.empty_days) == ((), ())


ODD = {
    "a constant": ({"status": "'paid'"}, ("note", "status", "always has the same value"), "4,000 rows: paid"),
    "nothing but nulls": ({"note": "null::varchar"}, ("odd", "note", "is always null"), "4,000 rows"),
    "numbers as text": (
        {"country_code": "(number % 7)::varchar"},
        ("odd", "country_code", "is text, and holds nothing but numbers"),
        "4,000 values: 0 to 6",
    ),
    "dates as text": (
        {"note": "'2026-01-0' || (number % 7 + 1)"},
        ("odd", "note", "is text, and holds nothing but dates"),
        "4,000 values: 2026-01-01 to 2026-01-07",
    ),
    "two spellings": (
        {"status": "['paid', 'Paid ', 'sent'][number % 3 + 1]"},
        ("odd", "status", "has values that differ by case or spaces alone"),
        "'paid' (1,340) and 'Paid ' (1,330)",
    ),
    "spaces": (
        {"status": "['paid ', 'sent'][number % 2 + 1]"},
        ("odd", "status", "has spaces around its values"),
        "2,000 of 4,000 rows (50%)",
    ),
    "empty text": (
        {"status": "['', 'sent'][number % 2 + 1]"},
        ("odd", "status", "is empty text instead of null"),
        "2,000 of 4,000 rows (50%)",
    ),
    "a word for nothing": (
        {"status": "['N/A', 'sent'][number % 2 + 1]"},
        ("odd", "status", "has words that stand for no value"),
        "'N/A' 2,000 of 4,000 values",
    ),
    "nearly a key": (
        {"receipt_id": "day_number * 1000 + if(number = 0, 1, number)"},
        ("odd", "receipt_id", "is nearly a key"),
        "10 of 4,000 rows (0.25%) repeat a value",
    ),
    "a broken key": (
        {"order_id": "day_number * 1000 + greatest(number, 2)"},
        ("wrong", "", "the declared key order_id is repeated within a landing"),
        "20 of 4,000 rows (0.5%)",
    ),
    "a key that comes back": (
        {"order_id": "if(day_number > 0 and number = 0, day_number * 1000 - 999, day_number * 1000 + number)"},
        ("note", "", "order_id comes back in later landings: count it once"),
        "9 of 4,000 rows (0.22%) repeat one of another landing",
    ),
    "an outlier": (
        {"amount": "if(number = 7 and day_number = 3, 1e6, 5 + number % 40)::decimal(18,4)"},
        ("odd", "amount", "has outliers"),
        "1 of 4,000 rows (0.025%), up to 1,000,000; half are below 25",
    ),
    "many units": (
        {"amount": "(10 ** (number % 8) * (1 + hash(number) % 9))::decimal(18,4)"},
        ("odd", "amount", "spans many powers of ten: is it one unit?"),
        "98% of its values are from 1 to",
    ),
    "a unit for each country": (
        {"amount": "(10 ** (2 * (number % 4)) * (1 + hash(number) % 9))::decimal(18,4)"},
        ("note", "amount", "is of another unit for each country_code: add up nothing across them"),
        "98% of its values are from 1 to",
    ),
    "the future": (
        {"ordered_at": "timestamp '{day}' + to_seconds(number * 215) + to_days(if(number = 9, 300, 0))"},
        ("odd", "ordered_at", "lies in the future"),
        "10 of 4,000 rows (0.25%) are more than a day after they landed",
    ),
    "the dawn of time": (
        {"paid_at": "if(number = 9, timestamp '1970-01-01', ordered_at)"},
        ("odd", "paid_at", "begins at the dawn of time"),
        "the first is 1970-01-01",
    ),
    "other nulls": (
        {"note": "if(number % 5 = 0 or day_number >= 6 and number % 2 = 0, 'note ' || number, null)"},
        ("odd", "note", f"is null in another share of rows since {day(6)}"),
        "80% before, 40% since",
    ),
    "a new column": (
        {"channel": "if(day_number < 4, null, ['app', 'shop'][number % 2 + 1])"},
        ("note", "channel", f"has values since {day(4)} only"),
        "null in all 1,600 rows before",
    ),
    "a new value": (
        {"status": "if(day_number >= 5 and number % 4 = 0, 'lost', ['paid', 'sent'][number % 2 + 1])"},
        ("note", "status", "has values that came later"),
        f"lost since {day(5)}",
    ),
    "a value that is gone": (
        {"status": "if(day_number < 5 and number % 4 = 0, 'lost', ['paid', 'sent'][number % 2 + 1])"},
        ("note", "status", "has values that are gone"),
        f"lost until {day(4)}",
    ),
}


@pytest.mark.parametrize(("changed", "expected", "evidence"), ODD.values(), ids=ODD)
def test_what_is_odd_is_said_once_with_its_evidence(
    tmp_path: Path, changed: dict[str, str], expected: tuple[str, str, str], evidence: str
) -> None:
    table = profiled(tmp_path, orders(**changed), event_time="ordered_at")
    assert said(table) == [expected]
    assert evidence in table.suspicions[0].evidence


def test_a_day_with_far_more_or_fewer_rows_than_the_days_around_it_stands_out(tmp_path: Path) -> None:
    rows = "[400, 410, 395, 1200, 405, 400, 60, 400, 390, 400][day_number + 1]"
    every_minute = {"order_id": "day_number * 2000 + number", "ordered_at": "timestamp '{day}' + to_minutes(number)"}
    table = profiled(tmp_path, orders(rows, **every_minute))
    assert [one.says for one in table.suspicions] == [
        f"{day(3)} has 3.0 times as many rows",
        f"{day(6)} has 15% of the usual rows",
    ]
    assert table.suspicions[0].evidence == "1,200 rows, 400 on the days around"


def test_weekends_and_small_numbers_do_not(tmp_path: Path) -> None:
    for name, rows in (
        ("weekend", "[400, 400, 400, 400, 400, 580, 590, 400, 400, 400]"),
        ("few", "[3, 5, 9, 1, 0, 4]"),
    ):
        days = orders(rows=f"coalesce({rows}[day_number + 1], 3)")
        assert not [one for one in profiled(tmp_path / name, days).suspicions if "rows" in one.says]


def test_days_that_have_not_landed_are_missing(tmp_path: Path) -> None:
    # Of ten queries, each lands on the next day; these two are skipped.
    table = profiled(tmp_path, orders(), skipped={day(3), day(4)})
    assert said(table) == [("wrong", "", "days have not landed")]
    assert table.suspicions[0].evidence == f"{day(3)} to {day(4)}"


def test_days_and_hours_without_an_event_are_gaps(tmp_path: Path) -> None:
    rows = "timestamp '{day}' + to_minutes(if(number < 120, 120 + number, number)) - to_days(if({silent}, 1, 0))"
    silent = "day_number = 4"
    days = orders(rows="1440", order_id="day_number * 2000 + number", ordered_at=rows.replace("{silent}", silent))
    table = profiled(tmp_path, days, event_time="ordered_at")
    assert table.empty_days == (day(4),)
    assert table.empty_hours == 8 * 2, "two hours of each other day, but not those before the first event of all"
    assert said(table)[:2] == [
        ("odd", "", "no ordered_at lies on some days"),
        ("odd", "", "no ordered_at lies in some hours"),
    ]


def test_a_source_that_begins_later_has_no_gap_before_and_one_that_ends_earlier_has_one(tmp_path: Path) -> None:
    days = orders(rows="if(day_number in (0, 1, 9), 0, 400)")
    table = profiled(tmp_path, days, event_time="ordered_at")
    assert table.empty_days == (day(9),)
    assert said(table) == [("odd", "", "no ordered_at lies on some days"), ("odd", "", f"{day(9)} has no rows")]


def test_what_breaks_its_declaration_is_wrong(tmp_path: Path) -> None:
    columns = {
        "order_id": DeclaredColumn("BIGINT", required=True),
        "ordered_at": DeclaredColumn("DATE"),
        "note": DeclaredColumn("VARCHAR", required=True),
        **{name: DeclaredColumn("VARCHAR") for name in ("status", "country_code")},
    }
    table = profiled(tmp_path, orders(amount="'kept to ourselves'"), columns=columns)
    assert said(table) == [
        ("wrong", "ordered_at", "is TIMESTAMP, and declared as DATE"),
        ("wrong", "note", "is declared as always there, and is not"),
        ("odd", "amount", "is declared nowhere"),
        ("note", "amount", "always has the same value"),
    ]
    assert column(table, "amount").first == "", "of what nobody declared nobody knows what it holds"


def test_of_records_of_several_kinds_a_column_is_judged_on_those_that_have_it(tmp_path: Path) -> None:
    days = orders(
        kind="['view', 'buy'][number % 2 + 1]",
        basket="if(number % 2 = 1 and number % 10 <> 1, number, null)",
    )
    table = profiled(tmp_path, days, kind="kind")
    assert column(table, "basket").expected == 2000
    assert column(table, "basket").null_share == pytest.approx(0.2)


def test_another_mix_of_kinds_is_no_shift_of_nulls(tmp_path: Path) -> None:
    days = orders(
        kind="if(number % 10 < if(day_number < 5, 2, 8), 'buy', 'view')",
        basket="if(number % 10 < if(day_number < 5, 2, 8) and number % 3 > 0, number, null)",
    )
    assert not said(profiled(tmp_path / "kinds", days, kind="kind"))
    assert said(profiled(tmp_path / "none", days)) == [
        ("odd", "basket", f"is null in another share of rows since {day(5)}"),
    ]


def test_few_values_are_all_listed_with_their_days_and_many_are_not(tmp_path: Path) -> None:
    table = profiled(tmp_path, orders(status="if(day_number = 3 and number < 5, 'lost', 'paid')"))
    values = [(one.text, one.rows, one.first_day, one.last_day) for one in column(table, "status").values]
    assert values == [("paid", 3995, day(0), day(9)), ("lost", 5, day(3), day(3))]
    assert column(table, "note").values == ()
    assert column(table, "note").distinct == 80
    assert (column(table, "note").first, column(table, "note").longest) == ("note 0", 8)


def test_a_column_that_is_newer_than_some_landings_is_null_in_these(tmp_path: Path) -> None:
    days = [*orders()[:5], *orders(channel="['app', 'shop'][number % 2 + 1]")[5:]]
    columns = {name: DeclaredColumn("VARCHAR") for name in ("status", "country_code", "note", "channel")}
    columns |= {"order_id": DeclaredColumn("BIGINT"), "ordered_at": DeclaredColumn("TIMESTAMP")}
    table = profiled(tmp_path, days, columns=columns | {"amount": DeclaredColumn("DECIMAL(18,4)")})
    assert said(table) == [("note", "channel", f"has values since {day(5)} only")]
    assert column(table, "channel").filled == 2000


def test_of_a_table_that_lands_whole_the_last_landing_counts(tmp_path: Path) -> None:
    table = profiled(tmp_path, orders(status="if(day_number = 9, 'new', 'old')")[7:], is_daily=False)
    assert table.rows == 400
    assert [one.text for one in column(table, "status").values] == ["new"]
    assert len(table.days) == 3
    assert table.versions == 3


def test_rows_of_an_id_are_counted(tmp_path: Path) -> None:
    days = orders(customer_id="if(number < 100, 0, number)")
    (per,) = profiled(tmp_path, days).rows_per
    assert (per.column, per.values, per.median, per.p95, per.most) == ("customer_id", 301, 10, 10, 1000)


def test_an_empty_table_is_described_and_not_a_division_by_zero(tmp_path: Path) -> None:
    table = profiled(tmp_path, orders(rows="0"), event_time="ordered_at")
    assert said(table) == [("odd", "", "there are no rows")]
    assert len(table.columns) == len(CLEAN)


def test_lateness_tells_what_another_limit_would_refuse(tmp_path: Path) -> None:
    received = "[0, 1, 2, 90, 40_000, 90_000, 180_000, 270_000, 0, 0][number % 10 + 1]"  # seconds after the event
    days = orders(
        ordered_at="timestamp '{day} 23:00:00' + to_seconds(number) - to_seconds(" + received + ")",
        received_at="timestamp '{day} 23:00:00' + to_seconds(number)",
        sent_at="timestamp '{day} 23:00:00' + to_seconds(number + [0, 600, -600, 0, 0][number % 5 + 1])",
    )
    refused = "select 'too_late' as reason, date '{day}' - 5 as event_date from range(3)"
    times = {"event_time": "ordered_at", "received_time": "received_at", "sent_time": "sent_at"}
    late = profiled(tmp_path, days, refused=refused, skipped=(), **times).lateness
    assert late
    assert dict(late.within)[1] == 4 * 400, "three at once, and one after a second"
    assert sum(rows for _, rows in late.within) == 4000
    assert late.days == ((0, 2800), (1, 400), (2, 400), (3, 400))
    assert late.refused_days == ((5, 30),)
    assert (late.skewed, late.skew_ahead) == (1600, 800)


def test_a_time_on_the_edge_of_a_bin_belongs_to_it(tmp_path: Path) -> None:
    edges = "[" + ", ".join(map(str, BOUNDS)) + f"][number % {len(BOUNDS)} + 1]"
    days = orders(rows=str(len(BOUNDS)), received_at=f"ordered_at + to_seconds({edges})")
    late = profiled(tmp_path, days, event_time="ordered_at", received_time="received_at").lateness
    assert late
    assert late.within == (*((bound, DAYS) for bound in BOUNDS), (None, 0))


def test_what_was_refused_is_counted_by_reason_and_much_of_it_is_odd(tmp_path: Path) -> None:
    refused = "select if(range < 15, 'wrong_type', 'not_json') as reason, null::date as event_date from range(20)"
    days = orders()
    table = profiled(tmp_path, days, refused=refused)
    assert table.refused == (("wrong_type", 150), ("not_json", 50))
    assert table.suspicions[0].says == "many records are refused"


def test_what_the_folders_above_the_lake_are_called_is_no_column(tmp_path: Path) -> None:
    refused = "select 'too_late' as reason, date '{day}' - 5 as event_date from range(4)"
    days = orders(received_at="timestamp '{day}' + to_seconds(number * 215 + 2)")
    plain, below = (
        profiled(folder, days, refused=refused, event_time="ordered_at", received_time="received_at")
        for folder in (tmp_path / "plain", tmp_path / "env=prod" / "dt=1999-01-01")
    )
    assert plain == below
    assert below.lateness
    assert below.lateness.refused_days == ((5, 4 * DAYS),)


rows_of = st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=2, max_size=24)


@given(rows=rows_of)
@settings(max_examples=150, deadline=None)
def test_keys_are_those_that_trying_all_sets_of_columns_finds(rows: list[tuple[int, ...]]) -> None:
    names = "abcd"
    values = ", ".join(map(str, rows))
    distinct = {name: len({row[place] for row in rows}) for place, name in enumerate(names)}
    with duckdb.connect() as connection:
        connection.execute(f"create view {RELATION} as from (values {values}) t(a, b, c, d)")
        found = find_keys(connection, len(rows), distinct)
    for size in range(1, LARGEST_KEY + 1):
        keys = [
            key
            for key in combinations(names, size)
            if len({tuple(row[names.index(name)] for name in key) for row in rows}) == len(rows)
        ]
        if keys:
            assert found == tuple(keys[:SHOWN_KEYS])
            return
    assert found == ()


@pytest.mark.parametrize("broken", ["", "one row", "all rows"])
def test_a_key_of_a_table_larger_than_any_sample_is_proven_on_all_rows(broken: str) -> None:
    rows = 8 * SAMPLE_ROWS
    last = rows - 1
    order_id = {"": "number", "one row": f"if(number = {last}, 0, number)", "all rows": "number // 2"}[broken]
    with duckdb.connect() as connection:
        connection.execute(f"""
            create table {RELATION} as
            select
                {order_id} as order_id, number % 2 as line, if(number = {last}, 0, number % 2) as side,
                number // 20 as box, number % 20 as place
            from range({rows}) _(number)
        """)
        distinct = {"order_id": rows, "side": 2, "line": 2, "box": rows // 20, "place": 20}
        found = find_keys(connection, rows, distinct, [("order_id",)])
    assert (
        found
        == {
            "": (("order_id",),),
            "one row": (("order_id", "line"), ("order_id", "box"), ("order_id", "place")),
            "all rows": (("order_id", "line"), ("order_id", "place"), ("box", "place")),
        }[broken]
    )


def test_declared_is_named_after_its_source_only_when_that_says_more() -> None:
    assert Declared("events", "events", (), {}, is_daily=True).name == "events"
    assert Declared("shop", "orders", (), {}, is_daily=True).name == "shop.orders"
