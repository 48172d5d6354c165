"""The contracts of landed tables: each check seen red on the day that breaks it, and good days seen green."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts.tables import Column, load_table_contracts
from ingestion.endpoints import load_endpoints
from quality import gate
from quality.contract import CONTRACTS_DIR, read_yaml
from quality.gate import GateError, Report
from quality.landed import landed_contract
from storage.days import DAY
from storage.lake import Lake, Outcome
from storage.settings import load_settings

MONDAY = date(2026, 1, 5)
TUESDAY = MONDAY + DAY
UPSTREAM = load_table_contracts()
SERVICES = {endpoint.table: endpoint for endpoint in load_endpoints()}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "o'clock")


Land = Callable[..., Outcome]


@pytest.fixture
def land(lake: Lake) -> Land:
    """Leave a landing as ingestion does: good rows, changed by a SELECT that finds them as `good`; other counts."""

    def stage(table: str, day: date, change: str = "from good", **counts: Any) -> Outcome:
        pending = lake.begin()
        with duckdb.connect() as connection:
            connection.execute(f"create table good as {good_rows(table, day)}")
            changed = connection.sql(change)
            rows = len(changed)
            changed.write_parquet(str(pending / "data.parquet"))
        started_at = datetime(2026, 2, 1, tzinfo=UTC)
        source = "warehouse" if table in UPSTREAM else SERVICES[table].service
        return Outcome(
            pending.name, source, table, day, "staged", started_at, **{"read": rows, "accepted": rows} | counts
        )

    return stage


def good_rows(table: str, day: date) -> str:
    """A query: rows that keep the table's contract."""
    if table in UPSTREAM:
        columns = UPSTREAM[table].columns
        values = ", ".join(f"{_value(column, day)} as {column.landed_name}" for column in columns)
        return f"select {values} from range(1, 41) as numbers(n)"
    return {
        "countries": """
            select
                'C' || n as country_iso3, if(n = 7, 'NA', 'c' || n) as country_iso2, 'Land' as country_name,
                null::varchar as region_id, if(n > 217, 'Aggregates', 'Sub-Saharan Africa ') as region_name,
                'UMC' as income_level_id, 'Upper middle income' as income_level_name,
                'IBD' as lending_type_id, 'IBRD' as lending_type_name, 'Windhoek' as capital_city,
                17.1::double as longitude, -22.6::double as latitude
            from range(1, 261) as numbers(n)
        """,
        "indicators": """
            select
                'SP.POP.TOTL' as indicator_id, 'Population' as indicator_name, 'c' || n as country_iso2,
                null::varchar as country_iso3, 'Land' as country_name, year::bigint as year,
                if(year = 2026, null, 7.5::double) as value, date '2025-12-19' as updated_date
            from range(1, 5) as numbers(n), range(2020, 2027) as years(year)
        """,
        "rates": f"""
            select
                date '{day}' - n::integer as rate_date, 'EUR' as base_currency, currency_code,
                (1.1 + n / 100)::decimal(18, 8) as rate
            from range(0, 5) as numbers(n), (values ('USD'), ('JPY')) as currencies(currency_code)
        """,
    }[table]


def _value(column: Column, day: date) -> str:
    if column.enum:
        return f"'{column.enum[0]}'"
    if column.personal == "year":
        return "1990::bigint"
    return {
        "bigint": "n::bigint",
        "varchar": "'some ' || n",
        "boolean": "true",
        "timestamp": f"timestamp '{day} 10:00:00'",
        "decimal(18,4)": "9.99::decimal(18, 4)",
    }[column.type]


@pytest.fixture
def judge(lake: Lake) -> Callable[[Sequence[Outcome]], Report]:
    return lambda staged: gate.audit_tables(load_settings(), lake, staged, "Landing of tables")


Judge = Callable[[Sequence[Outcome]], Report]


def blocked(report: Report) -> dict[tuple[str, str], set[date]]:
    return {(result.table, result.name): set(result.days) for result in report.failures}


def test_good_landings_of_all_tables_pass_in_one_run(land: Land, judge: Judge) -> None:
    staged = [land(table, day) for table in UPSTREAM for day in (MONDAY, TUESDAY)]
    staged += [land(table, TUESDAY) for table in SERVICES]
    report = judge(staged)
    assert report.passed, report.text()
    assert {result.table for result in report.results} == {*UPSTREAM, *SERVICES}
    assert all(report.passed_on(one.table, one.day) for one in staged)


UPSTREAM_DAMAGES = [
    (table, check, change)
    for table, promise in UPSTREAM.items()
    for check, change in [
        ("key_unique", "from good union all from (from good limit 1)"),
        *(
            ("required_columns", f"select * replace (null::{column.landed_type} as {column.landed_name}) from good")
            for column in promise.columns
            if not column.nullable
        ),
        *(
            (f"{column.landed_name}_known", f"select * replace ('another' as {column.landed_name}) from good")
            for column in promise.columns
            if column.enum
        ),
        *(
            [("changed_on_its_day", "select * replace (changed_at + interval 1 day as changed_at) from good")]
            if promise.read == "changes"
            else [("rows_present", "from good where false")] * (not promise.may_be_empty)
        ),
    ]
]


@pytest.mark.parametrize(("table", "check", "change"), UPSTREAM_DAMAGES, ids=lambda value: str(value)[:24])
def test_an_upstream_row_that_breaks_its_promise_stops_its_day_alone(
    table: str, check: str, change: str, land: Land, judge: Judge
) -> None:
    report = judge([land(table, MONDAY), land(table, TUESDAY, change)])
    assert blocked(report)[table, check] == {TUESDAY}
    assert report.passed_on(table, MONDAY)
    assert not report.passed_on(table, TUESDAY)


def test_a_day_on_which_nothing_changed_lands(land: Land, judge: Judge) -> None:
    quiet = [land(table, MONDAY, "from good where false") for table in UPSTREAM if UPSTREAM[table].read == "changes"]
    assert len(quiet) == 3
    assert judge(quiet).passed


def test_nothing_need_be_tried_out(land: Land, judge: Judge) -> None:
    assert judge(
        [land(table, MONDAY, "from good where false") for table in ("experiments", "experiment_assignments")]
    ).passed


def test_a_column_that_nobody_promised_stops_all_days_of_its_table_and_of_no_other(land: Land, judge: Judge) -> None:
    more = land("payments", TUESDAY, "select *, 1 as surprise from good")
    report = judge([land("payments", MONDAY), more, land("plans", TUESDAY)])
    assert blocked(report) == {("payments", "schema"): {MONDAY, TUESDAY}}
    assert report.passed_on("plans", TUESDAY)


# A good day of an upstream table has 40 rows.
@pytest.mark.parametrize(
    ("counts", "check"),
    [
        ({"read": 42, "quarantined": 2}, None),
        ({"read": 43, "quarantined": 3}, "quarantined_share"),
        ({"read": 42, "duplicates": 2}, None),
        ({"read": 41}, "counts_add_up"),
        ({"read": 41, "accepted": 41}, "counts_add_up"),
    ],
)
def test_each_row_is_accounted_for_and_few_are_refused(
    counts: dict[str, int], check: str | None, land: Land, judge: Judge
) -> None:
    report = judge([land("payments", MONDAY), land("payments", TUESDAY, **counts)])
    assert blocked(report) == ({("payments", check): {TUESDAY}} if check else {})


SERVICE_DAMAGES = [
    ("countries", "countries_complete", "from good order by region_name desc limit 199"),
    ("countries", "countries_complete", "select * replace (rtrim(region_name, 's') as region_name) from good"),
    ("countries", "namibia_present", "from good where country_iso2 <> 'NA'"),
    ("countries", "country_iso3_missing", "select * replace (null::varchar as country_iso3) from good"),
    ("countries", "country_iso3_duplicate", "from good union all from (from good limit 1)"),
    ("countries", "country_iso2_duplicate", "from good union all from (from good limit 1)"),
    ("countries", "country_iso2_missing", "select * replace (nullif(country_iso2, 'NA') as country_iso2) from good"),
    ("countries", "country_name_missing", "select * replace (null::varchar as country_name) from good"),
    ("countries", "region_name_missing", "select * replace (null::varchar as region_name) from good"),
    ("countries", "income_level_name_missing", "select * replace (null::varchar as income_level_name) from good"),
    ("countries", "longitude_invalid", "select * replace (181::double as longitude) from good"),
    ("countries", "latitude_invalid", "select * replace (-91::double as latitude) from good"),
    ("indicators", "duplicate", "from good union all from (from good limit 1)"),
    ("indicators", "indicator_id_missing", "select * replace (null::varchar as indicator_id) from good"),
    ("indicators", "indicator_id_invalid", "select * replace (indicator_id || 'A' as indicator_id) from good"),
    ("indicators", "country_iso2_missing", "select * replace (null::varchar as country_iso2) from good"),
    ("indicators", "year_invalid", "select * replace (1959::bigint as year) from good"),
    ("indicators", "year_missing", "select * replace (null::bigint as year) from good"),
    ("indicators", "no_future_year", "select * replace (2027::bigint as year, 1::double as value) from good"),
    ("indicators", "no_future_year", "select * replace (if(value is null, 2028, year)::bigint as year) from good"),
    ("indicators", "not_negative", "select * replace (-1::double as value) from good"),
    ("indicators", "values_present", "select * replace (null::double as value) from good"),
    ("rates", "duplicate", "from good union all from (from good limit 1)"),
    ("rates", "positive", "select * replace (0::decimal(18, 8) as rate) from good"),
    ("rates", "rate_missing", "select * replace (null::decimal(18, 8) as rate) from good"),
    ("rates", "rate_date_missing", "select * replace (null::date as rate_date) from good"),
    ("rates", "currency_code_missing", "select * replace (null::varchar as currency_code) from good"),
    ("rates", "base_currency_invalid", "select * replace ('USD' as base_currency) from good"),
    ("rates", "base_currency_missing", "select * replace (null::varchar as base_currency) from good"),
    ("rates", "dollar_present", "from good where currency_code <> 'USD'"),
    ("rates", "base_not_listed", "select * replace (replace(currency_code, 'JPY', 'EUR') as currency_code) from good"),
    ("rates", "no_future_date", "select * replace (rate_date + 1 as rate_date) from good"),
    ("rates", "fresh", "select * replace (rate_date - 8 as rate_date) from good"),
    (
        "rates",
        "no_slipped_point",
        "select * replace (if(rate > 1.13, 10 * rate, rate)::decimal(18, 8) as rate) from good",
    ),
    *((table, "row_count", "from good where false") for table in SERVICES),
]  # fmt: skip


@pytest.mark.parametrize(("table", "check", "change"), SERVICE_DAMAGES, ids=lambda value: str(value)[:24])
def test_an_answer_that_cannot_be_true_does_not_land(
    table: str, check: str, change: str, land: Land, judge: Judge
) -> None:
    report = judge([land(table, TUESDAY, change)])
    assert blocked(report)[table, check] == {TUESDAY}
    assert not report.passed_on(table, TUESDAY)


def test_every_check_of_every_landed_table_was_seen_red() -> None:
    seen = {(table, check) for table, check, _ in [*UPSTREAM_DAMAGES, *SERVICE_DAMAGES]}
    common = {"schema", "counts_add_up", "quarantined_share", "records_usual"}
    for table in (*UPSTREAM, *SERVICES):
        for check in landed_contract(table).checks:
            assert check.name in common or (table, check.name) in seen, f"{table}: nothing breaks {check.name} above"


@pytest.mark.parametrize(("usual", "warns"), [(400, False), (401, True)])
def test_a_table_that_dries_up_is_warned_of(
    usual: int,
    warns: bool,  # noqa: FBT001 - pytest passes it by name
    lake: Lake,
    land: Land,
    judge: Judge,
) -> None:
    for number in range(7):
        lake.accept(land("payments", MONDAY + number * DAY, read=usual, accepted=usual))
    report = judge([land("payments", MONDAY + 7 * DAY)])
    assert report.passed
    said = [f"2026-01-12: 40 records, usually {usual}"] if warns else []
    assert [warning.message for warning in report.warnings] == said


@pytest.mark.parametrize(("countries", "failures"), [(199, 1), (200, 0), (230, 0), (231, 1)])
def test_countries_come_and_go(countries: int, failures: int, land: Land, judge: Judge) -> None:
    region = f"if(substr(country_iso3, 2)::integer <= {countries}, 'Sub-Saharan Africa', 'Aggregates ')"
    report = judge([land("countries", TUESDAY, f"select * replace ({region} as region_name) from good")])
    assert [result.name for result in report.failures] == ["countries_complete"] * failures


def test_a_year_is_listed_before_its_values_are_known(land: Land, judge: Judge) -> None:
    next_year = "select * replace (if(value is null, 2027, year)::bigint as year) from good"
    assert judge([land("indicators", TUESDAY, next_year)]).passed


def test_the_contract_of_indicators_knows_those_that_are_asked_for() -> None:
    columns = read_yaml(CONTRACTS_DIR / "raw" / "indicators.yml")["columns"]
    (known,) = (column["checks"][1]["invalid"] for column in columns if column["name"] == "indicator_id")
    assert known["valid_values"] == list(SERVICES["indicators"].each["indicator_id"]), (
        "list in quality/contracts/raw/indicators.yml what ingestion/endpoints.yml lists"
    )


def test_rates_that_are_seven_days_old_still_land(land: Land, judge: Judge) -> None:
    old = land("rates", TUESDAY, "select * replace (rate_date - 7 as rate_date) from good")
    assert judge([old]).passed


def test_a_file_that_cannot_be_read_is_an_error_and_no_pass(lake: Lake, land: Land, judge: Judge) -> None:
    landing = land("plans", MONDAY)
    (lake.pending(landing) / "data.parquet").write_bytes(b"not parquet")
    with pytest.raises(GateError, match="could not read what it is to judge"):
        judge([landing])


def test_a_table_without_any_contract_is_not_judged_by_default(land: Land, judge: Judge) -> None:
    with pytest.raises(KeyError, match="surprises"):
        judge([replace(land("plans", MONDAY), table="surprises")])
