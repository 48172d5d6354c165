"""What only a server can do to an extract: refuse us, change while we read, speak its own dialect, or go away."""

import logging
import traceback
from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest
from pydantic import SecretStr

from ingestion.extracts import stage_extracts
from ingestion.landing import SourceError
from ingestion.upstream import Upstream, open_upstream
from storage.lake import Lake
from storage.settings import load_settings
from tests.unit.postgres_server import ENCODED_PASSWORD, PASSWORD, postgres_server
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

READER_PASSWORD = "s3cret"  # noqa: S105


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as uri:
        with psycopg.connect(uri) as connection:
            connection.execute(f"create role reader login password '{READER_PASSWORD}'")  # type: ignore[call-overload]
        yield uri


@pytest.fixture
def warehouse(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", server)
    yield from postgres_warehouse(server)


@pytest.fixture
def reader(server: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """A warehouse that we read as a role with no right but to read it."""
    uri = server.replace(f"owner:{ENCODED_PASSWORD}", f"reader:{READER_PASSWORD}")
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", uri)
    warehouse.execute(
        "grant usage on schema business to reader; grant select on all tables in schema business to reader"
    )
    yield warehouse
    warehouse.execute("alter role reader reset all")


def refused() -> SourceError:
    """The error of a read that lands nothing."""
    settings = load_settings()
    with pytest.raises(SourceError) as caught:
        stage_extracts(settings, Lake(settings.lake_dir), [DAY])
    assert not list(settings.lake_dir.glob("pending/*"))
    return caught.value


def interrupt(monkeypatch: pytest.MonkeyPatch, statement: str, warehouse: Warehouse, *, in_table: str) -> None:
    """Have something happen on the server while the rows of a table are on their way."""

    def stream(upstream: Upstream, query: str) -> pa.RecordBatchReader:
        coming = original(upstream, query)
        if f"from business.{in_table} " in query and "count(*)" not in query:
            warehouse.execute(statement)
        return coming

    original = Upstream.stream
    monkeypatch.setattr(Upstream, "stream", stream)


# Getting in


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("sesame-hidden", "refused the password of user owner. Check LIFTOFF_WAREHOUSE_URI."),
        ("", "refused the password of user owner."),
        ("sesame%hidden", "the password has a % that is not percent-encoded"),
        ("sesame/hidden", "LIFTOFF_WAREHOUSE_URI is not a URI. Percent-encode"),
        ("sesame@hidden", "LIFTOFF_WAREHOUSE_URI is not a URI. Percent-encode"),
        ("sesame?hidden", "LIFTOFF_WAREHOUSE_URI is not a URI. Percent-encode"),
        ("12/hidden", "LIFTOFF_WAREHOUSE_URI is not a URI. Percent-encode"),
        ("[sesame-hidden", "LIFTOFF_WAREHOUSE_URI is not a URI. Percent-encode"),
    ],
)
def test_a_wrong_password_is_named_and_never_told(
    password: str, said: str, server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", server.replace(ENCODED_PASSWORD, password))
    error = refused()
    assert said in str(error)
    everything = "".join(traceback.format_exception(error)) + caplog.text + repr(load_settings())
    for piece in ("sesame", "hidden", PASSWORD, ENCODED_PASSWORD):
        assert piece not in everything


@pytest.mark.parametrize(
    ("part", "other", "said"),
    [
        ("/postgres", "/shop", 'refused the connection: database "shop" does not exist'),
        ("@127.0.0.1:", "@nowhere.invalid:", "nowhere.invalid"),
        ("@127.0.0.1:", "@127.0.0.1:1", "LIFTOFF_WAREHOUSE_URI is not a URI"),
        ("owner:", "nobody:", "refused the password of user nobody"),
    ],
)
def test_a_wrong_address_is_named(
    part: str, other: str, said: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", server.replace(part, other))
    assert said in str(refused())


def test_a_server_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", "postgresql://ann:hidden@127.0.0.1:1/shop")
    said = str(refused())
    assert "PostgreSQL 127.0.0.1:1/shop was not reached: nothing listens there." in said
    assert "hidden" not in said


def test_what_this_user_may_not_read_does_not_land(reader: Warehouse) -> None:
    reader.execute("revoke select on business.payments from reader")
    staged = stage_window()
    assert staged["payments", DAY].outcome.status == "failed"
    assert "this user may not read it" in staged["payments", DAY].outcome.reason
    assert staged["plans", DAY].outcome.status == "staged"


def test_a_reader_needs_no_right_but_to_read(reader: Warehouse) -> None:
    assert stage("payments", row("payments"), warehouse=reader).outcome.accepted == 1


@pytest.mark.parametrize(
    "statement", ["delete from business.plans", "create table business.mine (a int)", "drop schema business"]
)
def test_even_the_owner_changes_nothing(statement: str, warehouse: Warehouse) -> None:
    warehouse.insert("plans", row("plans"))
    for first in ("select 1", "rollback"):  # also outside the transaction that it began with
        with open_upstream(load_settings().warehouse_uri) as upstream:
            upstream.rows(first)
            with pytest.raises(SourceError, match="read-only transaction"):
                upstream.rows(statement)
    assert stage_window()["plans", DAY].outcome.accepted == 1


# While we read


def test_all_tables_are_read_as_of_one_moment(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.insert("account_changes", row("account_changes"))
    warehouse.insert("payments", row("payments"))
    interrupt(
        monkeypatch,
        "delete from business.payments; insert into business.titles values ('t_1', 'late', 'film', 'x', 2020, 1)",
        warehouse,
        in_table="account_changes",
    )
    staged = stage_window()
    assert (staged["payments", DAY].outcome.accepted, staged["titles", DAY].outcome.accepted) == (1, 0)


def test_a_server_that_goes_away_in_mid_stream_leaves_nothing(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    filler = "x" * 200
    warehouse.execute(f"""
        insert into business.payments
        select n, '{DAY}', '{filler}', '{filler}', 'u_' || n, 'charge', 'settled', 1, 'USD', '{DAY}'
        from generate_series(1, 100000) as n
    """)
    end_of_others = (
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename is not null"
    )
    interrupt(monkeypatch, end_of_others, warehouse, in_table="payments")
    said = str(refused())
    assert "broke off while it was read" in said
    assert "Nothing landed. Run again" in said
    assert filler not in said


# Its dialect


def test_the_servers_own_settings_change_nothing(reader: Warehouse) -> None:
    reader.insert("account_changes", row("account_changes", birth_date="1990-12-31", changed_at=f"{DAY} 23:30:00"))
    reader.insert("payments", row("payments", paid_at="infinity", amount="1234.5"), row("payments", amount="1234.5"))
    before = stage_window()
    for setting in (
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'German, DMY'",
        "extra_float_digits = 0",
        "standard_conforming_strings = off",
    ):
        reader.execute(f"alter role reader set {setting}")
    after = stage_window()
    for table in ("account_changes", "payments"):
        assert after[table, DAY].accepted == before[table, DAY].accepted
        assert after[table, DAY].quarantined == before[table, DAY].quarantined


def test_no_number_is_no_amount(warehouse: Warehouse) -> None:
    warehouse.execute("alter table business.payments alter column amount type numeric")
    bad = [row("payments", amount=amount) for amount in ("NaN", "Infinity", "1e40")]
    staged = stage("payments", *bad, warehouse=warehouse)
    assert staged.reasons == ["out_of_range"] * 3
    assert "amount is NaN, not a decimal(18,4)" in {record["detail"] for record in staged.quarantined}


def test_text_columns_may_be_declared_with_a_length(warehouse: Warehouse) -> None:
    warehouse.execute("alter table business.payments alter column currency_code type varchar(3)")
    assert stage("payments", row("payments", currency_code="USD"), warehouse=warehouse).outcome.accepted == 1


def test_both_databases_give_the_same_landings(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        table: [
            row(table, **({"changed_at": f"{day} 12:00:00.000001"} if contract.read == "changes" else {}))
            for day in (DAY, NEXT_DAY)
            for _ in range(3)
        ]
        for table, contract in CONTRACTS.items()
    }
    rows["account_changes"].append(row("account_changes", email="Zoë@Example.org ", full_name=None, change_type="no"))
    for table, sent in rows.items():
        warehouse.insert(table, *sent)
    of_server = stage_window([DAY, NEXT_DAY])
    monkeypatch.delenv("LIFTOFF_WAREHOUSE_URI")
    file = duckdb_warehouse()
    for table, sent in rows.items():
        file.insert(table, *sent)
    of_file = stage_window([DAY, NEXT_DAY])
    assert of_file.keys() == of_server.keys()
    for each, landed in of_file.items():
        assert landed.accepted == of_server[each].accepted
        assert landed.quarantined == of_server[each].quarantined
        assert landed.outcome.content_hash == of_server[each].outcome.content_hash


def test_patience_may_be_set_in_the_uri(server: str) -> None:
    uri = f"{server}?connect_timeout=2&application_name=liftoff%20test"
    with open_upstream(SecretStr(uri)) as upstream:
        assert upstream.rows("select current_setting('application_name')") == [("liftoff test",)]
