"""What lands of the upstream warehouse, alike from a DuckDB file and from PostgreSQL."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from ingestion.extracts import stage_extracts
from ingestion.landing import SourceError
from ingestion.upstream import Upstream, open_upstream
from storage.lake import Lake
from storage.settings import load_settings
from tests.unit.postgres_server import postgres_server
from tests.unit.upstream_tables import (
    CONTRACTS,
    DAY,
    NEXT_DAY,
    Warehouse,
    duckdb_warehouse,
    postgres_warehouse,
    row,
    stage,
    stage_window,
)

CHANGES = {name for name, contract in CONTRACTS.items() if contract.read == "changes"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as uri:
        yield uri


@pytest.fixture(params=["duckdb", "postgresql"])
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    if request.param == "duckdb":
        yield duckdb_warehouse()
    else:
        uri = request.getfixturevalue("server")
        monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", uri)
        yield from postgres_warehouse(uri)


@pytest.fixture
def duckdb_file() -> Path:
    duckdb_warehouse()
    return load_settings().data_dir / "source" / "warehouse.duckdb"


def nothing_is_left() -> bool:
    """No file of any landing."""
    return not [path for path in load_settings().lake_dir.rglob("*") if path.is_file() or path.parent.name == "pending"]


def refused() -> str:
    """What a read that lands nothing says."""
    settings = load_settings()
    with pytest.raises(SourceError) as error:
        stage_extracts(settings, Lake(settings.lake_dir), [DAY])
    assert nothing_is_left()
    return str(error.value)


def test_every_table_lands_as_its_contract_says(warehouse: Warehouse) -> None:
    for table in CONTRACTS:
        warehouse.insert(table, row(table), row(table))
    staged = stage_window()
    assert staged.keys() == {(table, DAY) for table in CONTRACTS}
    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP": pa.timestamp("us"),
        "DECIMAL(18,4)": pa.decimal128(18, 4),
    }
    lake = Lake(load_settings().lake_dir)
    for (table, _), landed in staged.items():
        data = lake.pending(landed.outcome) / "data.parquet"
        promised = [(column.landed_name, types[column.landed_type]) for column in CONTRACTS[table].columns]
        assert [(field.name, field.type) for field in pq.read_schema(data)] == promised
        assert pq.read_metadata(data).metadata[b"ingest_id"].decode() == landed.outcome.ingest_id
        assert (landed.outcome.status, landed.outcome.accepted) == ("staged", 2)
        assert landed.outcome.contract_digest == CONTRACTS[table].digest
    assert [path.name for path in lake.root.iterdir()] == ["pending"]


def test_values_land_as_they_were_sent(warehouse: Warehouse) -> None:
    sent = row("titles", title_name='Größe \U0001f4fa "5"\n\\', runtime_seconds=None)
    [landed] = stage("titles", sent, warehouse=warehouse).accepted
    assert landed == sent
    sent = row("payments", changed_at=f"{DAY} 23:59:59.123456", paid_at="0001-01-01 00:00:00")
    [landed] = stage("payments", sent, warehouse=warehouse).accepted
    assert (landed["changed_at"], landed["paid_at"]) == (datetime(2026, 2, 14, 23, 59, 59, 123456), datetime(1, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("amount", ["0.0001", "-0.5", "99999999999999.9999", "-99999999999999.9999", "1200", "0"])
def test_no_digit_of_a_decimal_is_lost(amount: str, warehouse: Warehouse) -> None:
    [landed] = stage("payments", row("payments", amount=amount), warehouse=warehouse).accepted
    assert landed["amount"] == Decimal(amount)


def test_zeros_beyond_the_fourth_decimal_are_no_digits(warehouse: Warehouse) -> None:
    warehouse.execute("alter table business.payments alter column amount type decimal(30,6)")
    [landed] = stage("payments", row("payments", amount="1.234500"), warehouse=warehouse).accepted
    assert landed["amount"] == Decimal("1.2345")


def test_a_decimal_lands_exactly_or_not_at_all(warehouse: Warehouse) -> None:
    random = Random(4)
    warehouse.execute("alter table business.payments alter column amount type decimal(38,9)")
    amounts = {
        f"p_{number}": Decimal(random.randrange(-(10**19), 10**19))
        .scaleb(-random.randrange(10))
        .scaleb(-random.randrange(9))
        for number in range(500)
    }
    amounts = {name: amount.quantize(Decimal("1e-9")) for name, amount in amounts.items()}
    rows = [row("payments", payment_id=name, amount=f"{amount:f}") for name, amount in amounts.items()]
    staged = stage("payments", *rows, warehouse=warehouse)
    landed = {each["payment_id"]: each["amount"] for each in staged.accepted}
    fitting = {
        name: amount
        for name, amount in amounts.items()
        if amount == amount.quantize(Decimal("1e-4")) and abs(amount) < 10**14
    }
    assert 0 < len(fitting) < 500
    assert landed == fitting


def test_an_accepted_landing_counts_with_its_day_and_content(warehouse: Warehouse) -> None:
    outcome = stage("payments", row("payments"), row("payments", kind="tip"), warehouse=warehouse).outcome
    lake = Lake(load_settings().lake_dir)
    lake.accept(outcome)
    [partition] = lake.partitions("warehouse", "payments")
    assert (partition.day, partition.rows, partition.content_hash) == (DAY, 1, outcome.content_hash)
    [kept] = lake.quarantine_dir(outcome).iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_day_is_from_midnight_to_before_the_next(warehouse: Warehouse) -> None:
    times = ("2026-02-13 23:59:59.999999", "2026-02-14 00:00:00", "2026-02-14 23:59:59.999999", "2026-02-15 00:00:00")
    staged = stage("payments", *(row("payments", changed_at=time) for time in times), warehouse=warehouse)
    assert [str(each["changed_at"]) for each in staged.accepted] == [*times[1:3]]
    assert (staged.outcome.first_event_date, staged.outcome.last_event_date) == (DAY, DAY)


def test_a_window_lands_each_day_of_changes_as_reading_that_day_alone_does(warehouse: Warehouse) -> None:
    for table in CHANGES:
        warehouse.insert(
            table, *(row(table, changed_at=f"{day} 0{hour}:00:00") for day in (DAY, NEXT_DAY) for hour in range(3))
        )
    together = stage_window([DAY, NEXT_DAY])
    for day in (DAY, NEXT_DAY):
        for (table, _), alone in stage_window([day]).items():
            if table in CHANGES:
                assert alone.accepted == together[table, day].accepted
                assert alone.outcome.content_hash == together[table, day].outcome.content_hash


def test_a_snapshot_lands_on_the_last_day_of_a_window_alone(warehouse: Warehouse) -> None:
    warehouse.insert("titles", row("titles"))
    staged = stage_window([DAY, NEXT_DAY])
    assert {day for table, day in staged if table not in CHANGES} == {NEXT_DAY}
    assert (staged["titles", NEXT_DAY].outcome.accepted, staged["titles", NEXT_DAY].outcome.first_event_date) == (
        1,
        None,
    )


def test_a_day_without_rows_lands_too(warehouse: Warehouse) -> None:
    outcome = stage("payments", warehouse=warehouse).outcome
    assert (outcome.status, outcome.read, outcome.first_event_date) == ("staged", 0, None)


def test_reading_a_day_again_gives_the_same_rows_in_the_same_order(warehouse: Warehouse) -> None:
    rows = [row("account_changes") for _ in range(20)]
    first = stage("account_changes", *rows, warehouse=warehouse)
    warehouse.execute("delete from business.account_changes")
    again = stage("account_changes", *reversed(rows), row("account_changes", changed_at=NEXT_DAY), warehouse=warehouse)
    assert again.accepted == first.accepted
    assert [each["change_id"] for each in first.accepted] == [each["change_id"] for each in rows]
    assert again.outcome.content_hash == first.outcome.content_hash


def test_many_rows_land_whole_and_sorted_whether_they_come_in_order_or_not(warehouse: Warehouse) -> None:
    rows = [row("payments") for _ in range(5000)]
    in_order = stage("payments", *rows, warehouse=warehouse)
    warehouse.execute("delete from business.payments")
    shuffled = stage("payments", *Random(4).sample(rows, len(rows)), warehouse=warehouse)
    assert in_order.accepted == shuffled.accepted
    assert [each["change_id"] for each in in_order.accepted] == [each["change_id"] for each in rows]


# Personal data


def hashed(value: str) -> str:
    """The keyed hash, by another library than ingestion uses."""
    return hmac.new(load_settings().salt(), value.encode(), hashlib.sha256).hexdigest()[:32]


@pytest.mark.parametrize("salt", ["", "short", "x" * 64, "longer than a block of the hash: " * 5])
def test_personal_columns_land_as_keyed_hashes(
    salt: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTOFF_SECRET_SALT", salt)
    sent = row("account_changes", email=" Ann.Ünal@Example.COM\t", full_name="Ann Ünal", birth_date="1990-12-31")
    [landed] = stage("account_changes", sent, warehouse=warehouse).accepted
    assert landed["email_hash"] == hashed("ann.ünal@example.com")
    assert landed["full_name_hash"] == hashed("ann ünal")
    assert landed["birth_year"] == 1990


def test_what_is_null_has_no_hash(warehouse: Warehouse) -> None:
    sent = row("account_changes", full_name=None, birth_date=None)
    [landed] = stage("account_changes", sent, warehouse=warehouse).accepted
    assert (landed["full_name_hash"], landed["birth_year"]) == (None, None)


def test_nothing_personal_is_in_any_file_or_message(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    personal = {"email": "ann.plum@example.org", "full_name": "Ann Plum", "birth_date": "1987-06-05"}
    faults: list[dict[str, Any]] = [
        {},
        {"user_id": None},
        {"change_type": "x"},
        {"created_at": "infinity"},
        {"change_id": -1},
    ]
    warehouse.insert("account_changes", *(row("account_changes", **personal | fault) for fault in faults))
    staged = stage("account_changes", row("account_changes", **personal, change_id=-1), warehouse=warehouse)
    assert (staged.outcome.accepted, staged.outcome.quarantined) == (1, 5)
    settings = load_settings()
    kept = [path for path in settings.data_dir.rglob("*") if path.is_file() and "source" not in path.parts]
    assert len(kept) > len(CONTRACTS)
    written = b"".join(path.read_bytes() for path in kept)
    with duckdb.connect() as connection:
        for path in kept:
            if path.suffix == ".parquet":
                written += str(connection.execute(f"from '{path}'").fetchall()).encode()
    assert b"email_hash" in written
    said = caplog.text + "".join(capsys.readouterr()) + str(staged.outcome)
    for value in (*personal.values(), "Plum", "plum"):
        assert value.encode() not in written
        assert value not in said


# Bad rows: each is kept, with the reason

ROW_FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a NULL that is not allowed": ({"user_id": None}, "missing_field", "user_id is NULL"),
    "a NULL in the key": ({"change_id": None}, "missing_field", "change_id is NULL"),
    "a value outside its enum": ({"kind": "tip"}, "not_in_enum", "kind is tip, not one of charge, refund"),
    "an infinite timestamp": ({"paid_at": "infinity"}, "out_of_range", "paid_at is infinite"),
    "an infinite timestamp in the past": ({"paid_at": "-infinity"}, "out_of_range", "paid_at is infinite"),
    "a timestamp in the year 10000": ({"paid_at": "10000-01-01 00:00:00"}, "out_of_range", "years 1 to 9999"),
    "a decimal with 20 digits": ({"amount": "1234567890123456.7890"}, "out_of_range", "not a decimal(18,4)"),
    "a decimal with five decimals": ({"amount": "1.00001"}, "out_of_range", "amount is 1.00001"),
}


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_a_bad_row_is_quarantined(fault: str, warehouse: Warehouse) -> None:
    changes, reason, detail = ROW_FAULTS[fault]
    if "amount" in changes:
        warehouse.execute("alter table business.payments alter column amount type decimal(38,5)")
    bad, good = row("payments", **changes), row("payments")
    staged = stage("payments", bad, good, warehouse=warehouse)
    [record] = staged.quarantined
    assert (record["reason"], record["file"], record["line"]) == (reason, "business.payments", 1)
    assert detail in record["detail"]
    assert (record["event_date"], record["contract_digest"]) == (DAY, CONTRACTS["payments"].digest)
    raw = json.loads(record["raw"])
    assert raw.keys() == bad.keys()
    assert raw["payment_id"] == bad["payment_id"]
    assert raw["amount"].startswith(bad["amount"])
    assert [each["change_id"] for each in staged.accepted] == [good["change_id"]]


def test_a_bad_row_keeps_its_personal_columns_hashed(warehouse: Warehouse) -> None:
    bad = row("account_changes", email="Ann@example.org", change_type="merged")
    [record] = stage("account_changes", bad, warehouse=warehouse).quarantined
    raw = json.loads(record["raw"])
    assert (raw["email_hash"], raw["birth_year"]) == (hashed("ann@example.org"), 1990)
    assert record["event_id"] == str(bad["change_id"])


@pytest.mark.parametrize("birth_date", ["infinity", "-infinity"])
def test_an_infinite_birthday_is_refused_without_being_told(birth_date: str, warehouse: Warehouse) -> None:
    [record] = stage("account_changes", row("account_changes", birth_date=birth_date), warehouse=warehouse).quarantined
    assert (record["reason"], record["detail"]) == ("out_of_range", "birth_date is not in the years 1 to 9999")


@pytest.mark.parametrize("changed_at", [None, "infinity", "-infinity"])
def test_a_row_that_is_of_no_day_is_quarantined_on_the_last_one(changed_at: str | None, warehouse: Warehouse) -> None:
    warehouse.insert("payments", row("payments"), row("payments", changed_at=changed_at))
    staged = stage_window([DAY, NEXT_DAY])
    assert (staged["payments", DAY].outcome.accepted, staged["payments", DAY].reasons) == (1, [])
    assert staged["payments", NEXT_DAY].reasons == ["out_of_range" if changed_at else "missing_field"]


def test_of_rows_that_are_the_same_one_lands(warehouse: Warehouse) -> None:
    repeated = row("payments")
    staged = stage("payments", repeated, row("payments"), repeated, repeated, warehouse=warehouse)
    assert (staged.outcome.accepted, staged.outcome.duplicates, staged.reasons) == (2, 2, [])


def test_of_different_rows_with_one_key_none_lands(warehouse: Warehouse) -> None:
    price = row("plans", plan_id="basic", currency_code="USD", monthly_price="5")
    others = [row("plans", plan_id="basic", currency_code="EUR"), row("plans", plan_id="premium", currency_code="USD")]
    staged = stage("plans", price, price, price | {"monthly_price": "6"}, *others, warehouse=warehouse)
    assert (staged.outcome.accepted, staged.outcome.duplicates) == (2, 1)
    assert staged.reasons == ["duplicate_key", "duplicate_key"]
    assert [json.loads(record["raw"])["monthly_price"] for record in staged.quarantined] == ["5.0000", "6.0000"]
    assert "have the same plan_id, currency_code" in staged.quarantined[0]["detail"]


def test_one_key_on_two_days_is_left_to_later_checks(warehouse: Warehouse) -> None:
    again = row("payments")
    warehouse.insert("payments", again, again | {"changed_at": f"{NEXT_DAY} 00:00:00"})
    staged = stage_window([DAY, NEXT_DAY])
    assert [staged["payments", day].outcome.accepted for day in (DAY, NEXT_DAY)] == [1, 1]


# Tables that break their contract: they do not land, the others do

TABLE_FAULTS = {
    "a missing table": ("drop table business.payments", "it is not there"),
    "a missing column": ("alter table business.payments drop column amount", "it has no column amount"),
    "a renamed column": (
        "alter table business.payments rename column amount to total",
        "it has no column amount. It does have total",
    ),
    "an amount as a float": (
        "alter table business.payments alter column amount type double precision",
        "amount is double",
    ),
    "a time with a zone": (
        "alter table business.payments alter column paid_at type timestamp with time zone",
        "paid_at is timestamp with time zone, not timestamp",
    ),
    "a number as text": ("alter table business.payments alter column change_id type varchar", "not bigint"),
}


@pytest.mark.parametrize("fault", TABLE_FAULTS)
def test_a_table_that_breaks_its_contract_does_not_land(fault: str, warehouse: Warehouse) -> None:
    statement, said = TABLE_FAULTS[fault]
    warehouse.execute(statement)
    staged = stage_window([DAY, NEXT_DAY])
    for day in (DAY, NEXT_DAY):
        outcome = staged["payments", day].outcome
        assert (outcome.status, outcome.ingest_id) == ("failed", "")
        assert said in outcome.reason
        assert "business.payments" in outcome.reason
        assert "Ask its owner (billing)" in outcome.reason
        assert "contracts/tables/payments.yml" in outcome.reason
    assert {landed.outcome.status for (table, _), landed in staged.items() if table != "payments"} == {"staged"}


def test_a_column_more_is_warned_of_and_does_not_land(warehouse: Warehouse) -> None:
    warehouse.execute("alter table business.titles add column budget bigint")
    staged = stage("titles", row("titles") | {"budget": 7}, warehouse=warehouse)
    assert staged.outcome.warnings == ("unknown column budget in business.titles: it does not land",)
    assert "budget" not in staged.accepted[0]


def test_a_warehouse_without_the_schema_is_refused(warehouse: Warehouse) -> None:
    warehouse.execute("drop schema business cascade")
    assert "shows no table in schema business. Check LIFTOFF_WAREHOUSE_URI" in refused()


# When the read itself fails, nothing lands


def test_a_lost_row_is_noticed(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(upstream: Upstream, query: str) -> pa.RecordBatchReader:
        rows = stream(upstream, query).read_all()
        return (rows.slice(1) if "payment_id" in query else rows).to_reader()

    stream = Upstream.stream
    monkeypatch.setattr(Upstream, "stream", forgetful)
    warehouse.insert("payments", row("payments"), row("payments"), row("payments"))
    said = refused()
    assert "Lost rows: business.payments holds 3 of 2026-02-14, but 2 were accepted" in said


def test_nothing_may_be_written(warehouse: Warehouse) -> None:
    with open_upstream(load_settings().warehouse_uri) as upstream, pytest.raises(SourceError, match="read-only"):
        upstream.rows("insert into business.titles (title_id) values ('t_1')")
    assert stage("titles", warehouse=warehouse).outcome.read == 0


def test_a_file_that_is_not_there_is_refused() -> None:
    said = refused()
    assert "warehouse.duckdb is not there. Check LIFTOFF_WAREHOUSE_URI" in said


def test_a_file_that_is_no_database_is_refused(duckdb_file: Path) -> None:
    duckdb_file.write_text("not a database, but long enough to be taken for one" * 100)
    assert "cannot be opened" in refused()


def test_a_file_that_is_being_written_is_refused(duckdb_file: Path) -> None:
    code = "import duckdb, sys; kept = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, duckdb_file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        said = refused()
        writer.communicate()
    assert "is being written by another process. Run again when it is done." in said


def test_an_unknown_kind_of_warehouse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", "mysql://ann:hidden@host/shop")
    said = refused()
    assert "begins with mysql://, which is not known here" in said
    assert "hidden" not in said


def test_a_duckdb_file_may_be_given_as_a_uri(duckdb_file: Path) -> None:
    moved = duckdb_file.rename(duckdb_file.with_name("a b%.duckdb"))
    with open_upstream(SecretStr(moved.as_uri().replace("file://", "duckdb://"))) as upstream:
        assert upstream.columns().keys() == CONTRACTS.keys()
    with open_upstream(SecretStr(os.path.relpath(moved))) as upstream:
        assert upstream.columns().keys() == CONTRACTS.keys()


def test_a_full_disk_is_refused(duckdb_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(lake: Lake) -> Path:
        pending = lake.root / "pending" / "full"
        pending.mkdir(parents=True)
        (pending / "data.parquet").symlink_to("/dev/full")
        return pending

    assert duckdb_file.exists()
    monkeypatch.setattr(Lake, "begin", begin)
    said = refused()
    assert "is full" in said
    assert "Free space" in said


def test_the_window_ends_on_its_last_day(warehouse: Warehouse) -> None:
    days = [date(2026, 2, 13), DAY]
    warehouse.insert("payments", row("payments", changed_at=f"{NEXT_DAY} 00:00:00"))
    assert {landed.outcome.read for landed in stage_window(days).values()} == {0}
