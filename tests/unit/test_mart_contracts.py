"""The contracts of the marts: green on clean marts, and each check seen red."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
import yaml

from contracts import load_event_contracts
from quality import gate
from quality.contract import CONTRACTS_DIR
from quality.gate import Report
from storage.engine import connect
from storage.settings import load_settings

LAUNCH, LAST = date(2026, 1, 5), date(2026, 1, 20)
MARTS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CONTRACTS_DIR / "marts").glob("*.yml"))}

# What breaks each rule, one statement or more for each query in the contracts; `this` is the table itself.
DAMAGES: dict[str, dict[str, list[str]]] = {
    "dim_date": {
        "days_complete": [
            "delete from this where date_day = '2026-01-07'",
            "insert into this select * replace (date '2026-02-01' as date_day) from this limit 1",
        ],
        "calendar_right": [
            "update this set iso_week = iso_week + 1 where date_day = '2026-01-07'",
            "update this set is_weekend = null where date_day = '2026-01-07'",
        ],
    },
    "dim_device": {
        "sessions_agree": [
            "update this set session_count = session_count + 1 where device_id = 'du1'",
            "update this set last_session_date = last_session_date + 1 where device_id = 'du1'",
            "delete from this where device_id = 'du1'",
            "insert into this select * replace ('dx' as device_id) from this limit 1",
        ],
    },
    "fct_session": {
        "times_agree": [
            "update this set session_date = session_date + 1 where device_id = 'du1'",
            "update this set ended_at = started_at - interval 1 hour where device_id = 'du1'",
            "update this set duration_seconds = null where device_id = 'du1'",
        ],
        "dates_in_range": [
            "update this set session_date = '2026-01-04' where device_id = 'du1'",
            "update this set session_date = '2026-01-22' where device_id = 'du1'",
            "update this set session_date = null where device_id = 'du1'",
        ],
        "renewed_in_time": ["update this set duration_seconds = 12 * 3600 + 1 where device_id = 'du1'"],
        "seen_as_a_whole": ["update this set duration_seconds = 24 * 3600 + 1 where device_id = 'du1'"],
        "device_known": ["delete from dim_device where device_id = 'du1'"],
        "users_agree": [
            "update this set user_id = null where device_id = 'du1'",
            "update this set user_count = 0 where device_id = 'du1'",
        ],
        "crashes_agree": [
            "update this set is_crash_free = null where device_id = 'du1'",
            "update this set is_crash_free = true where device_id = 'da'",
            "update this set has_startup_crash = true where device_id = 'du1'",
        ],
    },
    "fct_user_activity_day": {
        "dates_in_range": [
            "update this set activity_date = '2026-01-04' where user_id = 'u1'",
            "update this set activity_date = '2026-01-22' where user_id = 'u1'",
        ],
        "flags_agree": [
            "update this set is_active = not is_active where user_id = 'u1'",
            "update this set has_opened = false where has_used",
        ],
    },
    "mart_active_users_daily": {
        "days_complete": [
            "delete from this where activity_date = '2026-01-07'",
            "insert into this select * replace (date '2026-02-01' as activity_date) from this limit 1",
        ],
        "users_agree": [
            "update this set active_users = active_users + 1 where activity_date = '2026-01-07'",
            "update this set used_users = used_users + 1 where activity_date = '2026-01-07'",
            "update this set opened_users = opened_users + 1 where activity_date = '2026-01-07'",
            "update this set active_users = null where activity_date = '2026-01-07'",
        ],
        "anonymous_devices_agree": [
            "update this set anonymous_devices = anonymous_devices + 1 where activity_date = '2026-01-05'",
            "update this set anonymous_devices = null where activity_date = '2026-01-05'",
        ],
        "status_right": [
            "update this set is_gap = true where activity_date = '2026-01-07'",
            "update this set is_provisional = not is_provisional where activity_date = '2026-01-18'",
        ],
    },
    "mart_retention_cohort": {
        "cohorts_complete": [
            "delete from this where cohort_grain = 'week' and period_number = 8",
            "update this set cohort_date = cohort_date + 1 where cohort_grain = 'week'",
        ],
        "cohort_users_agree": ["update this set cohort_users = cohort_users + 1"],
        "cohort_users_constant": [
            "update this set cohort_users = 9 where period_number = 3",
            "update this set cohort_users = null where period_number = 3",
        ],
        "retained_at_most_all": [
            "update this set retained_users = cohort_users + 1",
            "update this set cohort_users = null",
        ],
        "rate_right": [
            "update this set retention_rate = retention_rate / 2",
            "update this set retention_rate = null",
            "update this set retention_rate = 0 where retained_users is null",
        ],
        "known_when_it_can_be": [
            "update this set retained_users = 0 where retained_users is null",
            "update this set retained_users = null where period_number = 1",
            "update this set cohort_users = null",
        ],
    },
}


@pytest.fixture
def marts() -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Clean marts of six users over 16 days, some of them gaps."""
    template = Path(__file__).with_name("clean_marts.sql").read_text()
    with connect(load_settings()) as connection:

        def build(gap_dates: tuple[date, ...] = ()) -> duckdb.DuckDBPyConnection:
            connection.execute(template.format(launch=LAUNCH, last=LAST, gaps=[str(day) for day in gap_dates]))
            return connection

        yield build


def audit(connection: duckdb.DuckDBPyConnection, gap_dates: tuple[date, ...] = ()) -> Report:
    return gate.audit_marts(
        load_settings(), connection, last_date=LAST, launch_date=LAUNCH, gap_dates=gap_dates, subject="Build 1"
    )


def audit_one(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Outcome by check of one mart's contract."""
    report = gate.audit(
        connection,
        [CONTRACTS_DIR / "marts" / f"{table}.yml"],
        subject=table,
        variables={
            "launch_date": str(LAUNCH),
            "last_date": str(LAST),
            "gap_dates": "[]",
            "late_arrival_days": "3",
            "active_definition": "used",
        },
        salt=b"",
    )
    return {result.name: result.outcome for result in report.results}


@pytest.mark.parametrize("gap_dates", [(), (date(2026, 1, 9),), (LAUNCH, LAST)])
def test_clean_marts_pass(gap_dates: tuple[date, ...], marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    report = audit(marts(gap_dates), gap_dates)
    assert report.passed, report.text()
    assert not report.warnings
    assert len(report.results) > 100


@pytest.mark.parametrize(
    ("table", "check", "damage"),
    [(table, check, damage) for table, checks in DAMAGES.items() for check in checks for damage in checks[check]],
)
def test_a_broken_rule_is_seen_by_its_check(
    table: str, check: str, damage: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    connection.execute(damage.replace("this", table))
    assert audit_one(connection, table)[check] == ("warned" if check == "renewed_in_time" else "failed")


@pytest.mark.parametrize("table", MARTS)
def test_every_query_of_a_contract_is_seen_red_above(table: str) -> None:
    declared = {check["failed_rows"]["qualifier"] for check in MARTS[table]["checks"] if "failed_rows" in check}
    assert declared
    assert declared == DAMAGES[table].keys(), "add to DAMAGES what the new check must see"


@pytest.mark.parametrize("table", MARTS)
def test_every_column_that_must_be_there_fails_on_a_null(
    table: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    connection.execute(f"insert into {table} ({MARTS[table]['columns'][0]['name']}) values (null)")
    outcomes = audit_one(connection, table)
    missing = {name: outcome for name, outcome in outcomes.items() if name.endswith("_missing")}
    assert missing
    assert set(missing.values()) == {"failed"}


@pytest.mark.parametrize("table", MARTS)
def test_every_range_and_list_fails_on_what_lies_outside(
    table: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    ranges = {
        column["name"]: check["invalid"]
        for column in MARTS[table]["columns"]
        for check in column.get("checks", ())
        if "invalid" in check
    }
    for column, allowed in ranges.items():
        outside = "'nonsense'" if "valid_values" in allowed else allowed.get("valid_max", allowed["valid_min"] - 2) + 1
        connection.execute(f"update {table} set {column} = {outside}")
    assert ranges
    outcomes = audit_one(connection, table)
    assert {outcomes[f"{column}_invalid"] for column in ranges} == {"failed"}


@pytest.mark.parametrize("table", MARTS)
def test_a_key_that_is_repeated_fails(table: str, marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute(f"insert into {table} from {table} limit 1")
    repeated = {name: outcome for name, outcome in audit_one(connection, table).items() if "duplicate" in name}
    assert repeated
    assert set(repeated.values()) == {"failed"}


@pytest.mark.parametrize("table", MARTS)
def test_an_empty_mart_fails(table: str, marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute(f"delete from {table}")
    assert audit_one(connection, table)["row_count"] == "failed"


def test_events_of_the_day_after_the_last_landed_one_may_be_there(
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    day_after = LAST + timedelta(1)
    connection.execute(f"update fct_user_activity_day set activity_date = '{day_after}' where user_id = 'u1'")
    assert audit_one(connection, "fct_user_activity_day")["dates_in_range"] == "passed"


def test_a_mart_without_a_contract_and_a_contract_without_a_mart_fail(
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    connection.execute("alter table dim_date rename to dim_day")
    assert complaints(connection) == {
        "dim_date": "dim_date is not in the database, but has a contract",
        "dim_day": "dim_day has no contract: write quality/contracts/marts/dim_day.yml",
    }


@pytest.mark.parametrize(
    ("creation", "name"),
    [
        ("create schema main_growth; create table main_growth.mart_spend as select 1 as spend", "schema main_growth"),
        ("create schema empty_one", "schema empty_one"),
        ("create view newest_session as from fct_session", "view main.newest_session"),
        ("create schema meta; create view meta.ingest as select 1 as read", "view meta.ingest"),
        ("create macro lake() as table from range(3)", "macro main.lake"),
    ],
)
def test_what_readers_would_see_without_a_contract_fails(
    creation: str, name: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    connection.execute(creation)
    assert complaints(connection) == {
        name: f"{name} is judged by no contract: make it a table of schema main with a contract, or drop it"
    }


def test_a_mart_that_is_a_view_has_not_passed_by_the_contract_of_its_name(
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    connection.execute("create schema meta; create table meta.days as from dim_date; drop table dim_date")
    connection.execute("create view dim_date as from meta.days")
    assert complaints(connection).keys() == {"dim_date", "view main.dim_date"}


def test_the_record_of_attempts_needs_no_contract(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute("create schema meta; create table meta.ingest as select 1 as read")
    report = audit(connection)
    assert report.passed, report.text()


def complaints(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What is said of all that is under no contract, or missing, by name."""
    return {result.table: result.message for result in audit(connection).failures if result.name == "under_contract"}


def test_a_gap_does_not_count_as_a_day_that_landed(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    gap_dates = (LAST - timedelta(2), LAST - timedelta(1))
    connection = marts(gap_dates)
    assert audit(connection, gap_dates).passed
    rows = connection.execute("select activity_date from mart_active_users_daily where is_provisional order by all")
    assert [day for (day,) in rows.fetchall()] == [LAST - timedelta(days) for days in (4, 3, 2, 1, 0)]
    connection.execute(f"update mart_active_users_daily set is_provisional = activity_date > date '{LAST}' - 3")
    (result,) = audit(connection, gap_dates).failures
    assert (result.name, result.value) == ("status_right", 2.0)


def test_a_gap_that_nobody_allowed_fails(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    report = audit(marts((date(2026, 1, 9),)), gap_dates=())
    assert {"status_right", "known_when_it_can_be"} <= {result.name for result in report.failures}


def test_the_setting_decides_who_counts_as_active(
    marts: Callable[..., duckdb.DuckDBPyConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTOFF_ACTIVE_DEFINITION", "opened")
    assert {result.name for result in audit(marts()).failures} == {"flags_agree"}


def test_contracts_know_the_platforms_that_events_know() -> None:
    (platform,) = (field for field in load_event_contracts().envelope if field.name == "platform")
    for table, contract in MARTS.items():
        for column in contract["columns"]:
            if column["name"] == "platform":
                listed = next(check["invalid"]["valid_values"] for check in column["checks"] if "invalid" in check)
                assert listed == list(platform.enum), f"list the platforms of contracts/envelope.yml in {table}.yml"
