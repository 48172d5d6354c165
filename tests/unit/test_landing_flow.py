"""What becomes of a window when a source is late, down, or not what it promised: each branch of the policy."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from ingestion.endpoints import load_endpoints
from liftoff import intake, looks
from liftoff.plan import Window
from quality.gate import GateError
from simulator.api_server import serving
from storage import meta
from storage.engine import connect
from storage.errors import Blocked
from storage.lake import Lake, Outcome
from storage.settings import load_settings
from tests.unit.upstream_tables import CONTRACTS, DAY, NEXT_DAY, Warehouse, duckdb_warehouse, row

BOTH = Window(DAY, NEXT_DAY)


@pytest.fixture
def warehouse() -> Warehouse:
    """Both days have changes, and each list has a row."""
    filled = duckdb_warehouse()
    for table, contract in CONTRACTS.items():
        filled.insert(table, row(table), row(table))
        if contract.read == "changes":
            filled.insert(table, row(table, changed_at=f"{NEXT_DAY} 10:00:00"))
    return filled


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def services(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stand-in, without faults; one indicator of it is enough, and nobody waits before asking again."""
    monkeypatch.setenv("LIFTOFF_WORLD_BANK_URL", server)
    monkeypatch.setenv("LIFTOFF_FX_URL", server)

    async def at_once(_: float) -> None: ...

    monkeypatch.setattr("ingestion.services.sleep", at_once)
    one_indicator = {"each": {"indicator_id": ("SP.POP.TOTL",)}}
    few = [one.model_copy(update=one_indicator if one.each else {}) for one in load_endpoints()]
    monkeypatch.setattr("ingestion.api.load_endpoints", lambda: few)
    yield server
    httpx.delete(f"{server}/_faults")


def go_down(services: str, path: str) -> None:
    httpx.put(f"{services}/_faults", json={"path": path, "kind": "status", "status": 503}).raise_for_status()


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.table: outcome.status for outcome in outcomes}


def recorded() -> list[dict[str, Any]]:
    """Every attempt, as `meta.ingest` has it."""
    settings = load_settings()
    with connect(settings) as connection:
        meta.load(connection, settings.lake_dir)
        return looks.ask(connection, 'from meta.ingest order by day, source, "table"')


def landed(source: str, table: str) -> list[date]:
    return [outcome.day for outcome in Lake(load_settings().lake_dir).accepted(source, table)]


@pytest.mark.usefixtures("warehouse")
def test_changes_land_each_day_and_lists_on_the_last() -> None:
    outcomes = intake.land_extracts(BOTH)
    assert {outcome.status for outcome in outcomes} == {"accepted"}
    assert landed("warehouse", "payments") == [DAY, NEXT_DAY]
    assert landed("warehouse", "plans") == [NEXT_DAY]
    assert len(recorded()) == len(outcomes) == 3 * 2 + 4


def test_any_past_day_read_again_is_the_same_landing(warehouse: Warehouse) -> None:
    intake.land_extracts(BOTH)
    lake = Lake(load_settings().lake_dir)
    before = lake.partitions("warehouse", "payments")
    warehouse.insert("payments", row("payments", changed_at=f"{NEXT_DAY + timedelta(1)} 00:00:00"))
    intake.land_extracts(Window(DAY, DAY))
    assert lake.partitions("warehouse", "payments") == before


def test_a_warehouse_that_is_down_fails_every_table_and_day_and_says_it_once() -> None:
    with pytest.raises(intake.LandingFailed) as failed:
        intake.land_extracts(BOTH)
    assert str(failed.value).count("warehouse.duckdb is not there") == 1
    assert f"of {DAY} to {NEXT_DAY} could not be read" in str(failed.value)
    rows = recorded()
    assert {row["status"] for row in rows} == {"failed"}
    assert len(rows) == 3 * 2 + 4
    assert not landed("warehouse", "payments")


def test_a_table_that_breaks_its_contract_fails_alone_and_names_its_owner(warehouse: Warehouse) -> None:
    warehouse.execute("alter table business.payments rename column amount to total")
    with pytest.raises(intake.LandingFailed, match=r"Payments of .* could not be read: .*no column amount.*billing"):
        intake.land_extracts(BOTH)
    assert not landed("warehouse", "payments")
    assert landed("warehouse", "subscription_changes") == [DAY, NEXT_DAY]
    assert landed("warehouse", "plans") == [NEXT_DAY]


def test_a_day_of_a_table_that_the_gate_refuses_is_kept_aside_and_the_rest_lands(warehouse: Warehouse) -> None:
    warehouse.insert("payments", *(row("payments", status="lost", changed_at=f"{DAY} 10:00:00") for _ in range(2)))
    intake.land_extracts(Window(NEXT_DAY, NEXT_DAY))
    with pytest.raises(Blocked, match=r"payments.quarantined_share +2026-02-14: 2 of 4 records were refused"):
        intake.land_extracts(BOTH)
    assert landed("warehouse", "payments") == [NEXT_DAY]
    assert landed("warehouse", "account_changes") == [DAY, NEXT_DAY]
    (refused,) = [row for row in recorded() if row["status"] == "rejected"]
    assert (refused["table"], refused["day"]) == ("payments", DAY)
    assert (load_settings().lake_dir / "rejected" / refused["ingest_id"] / "data.parquet").exists()


@pytest.mark.usefixtures("services")
def test_services_land_once_and_then_only_what_is_new() -> None:
    assert set(statuses(intake.land_market_data(Window(DAY, DAY))).values()) == {"accepted"}
    assert set(statuses(intake.land_market_data(Window(DAY, DAY))).values()) == {"unchanged"}
    monday = DAY + timedelta(2)
    expected = {"countries": "unchanged", "indicators": "unchanged", "rates": "accepted"}
    assert statuses(intake.land_market_data(Window(monday, monday))) == expected
    assert landed("fx", "rates") == [DAY, monday]
    assert "unchanged" not in {row["status"] for row in looks.recent(load_settings())["days not accepted"]}


def test_a_service_that_never_answered_fails_and_the_others_land(services: str) -> None:
    go_down(services, "/v1")
    with pytest.raises(intake.LandingFailed, match=r"Rates of 2026-02-14 could not be read: .*503.*LIFTOFF_FX_URL"):
        intake.land_market_data(Window(DAY, DAY))
    assert landed("world_bank", "indicators") == [DAY]
    assert not landed("fx", "rates")


@pytest.mark.parametrize(
    ("path", "table", "days", "status"),
    [("/v1", "rates", 9, "stale"), ("/v1", "rates", 10, "failed"), ("/v2", "indicators", 99, "stale")],
)
def test_a_service_that_is_down_is_a_warning_while_its_last_landing_is_young(
    path: str, table: str, days: int, status: str, services: str, caplog: pytest.LogCaptureFixture
) -> None:
    intake.land_market_data(Window(DAY, DAY))
    go_down(services, path)
    later = DAY + timedelta(days)
    if status == "failed":
        with pytest.raises(intake.LandingFailed, match=f"{days} days ago"):
            intake.land_market_data(Window(later, later))
    else:
        assert statuses(intake.land_market_data(Window(later, later)))[table] == "stale"
        assert f"Nothing read of {table} of {later}" in caplog.text
    (attempt,) = [row for row in recorded() if row["day"] == later and row["table"] == table]
    assert attempt["status"] == status
    assert DAY in landed(attempt["source"], table), "the last landing is untouched"


@pytest.mark.usefixtures("services")
def test_an_answer_that_the_gate_refuses_leaves_the_last_landing(monkeypatch: pytest.MonkeyPatch) -> None:
    intake.land_market_data(Window(DAY, DAY))
    monkeypatch.setattr("simulator.market.rates", lambda _: {"USD": 0.0, "JPY": 183.0})
    monday = DAY + timedelta(2)
    with pytest.raises(Blocked, match="positive  A rate is more than nothing: not so for"):
        intake.land_market_data(Window(monday, monday))
    assert landed("fx", "rates") == [DAY]


@pytest.mark.usefixtures("warehouse")
def test_a_gate_that_cannot_judge_lets_nothing_land(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise GateError("Soda could not verify the contracts")

    monkeypatch.setattr("liftoff.intake.gate.audit_tables", fail)
    with pytest.raises(GateError):
        intake.land_extracts(BOTH)
    assert {row["status"] for row in recorded()} == {"rejected"}
    assert not landed("warehouse", "plans")


def test_no_password_of_the_warehouse_is_ever_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", "postgresql://reader:hush-hush@127.0.0.1:9/upstream")
    with pytest.raises(intake.LandingFailed) as failed:
        intake.land_extracts(BOTH)
    kept = "".join(path.read_text() for path in Path(load_settings().lake_dir / "meta").rglob("*.json"))
    assert "127.0.0.1:9" in kept
    assert "hush-hush" not in kept + str(failed.value) + caplog.text


@pytest.mark.usefixtures("warehouse")
def test_the_landing_of_a_day_can_be_queried_by_anyone() -> None:
    intake.land_extracts(BOTH)
    path = Lake(load_settings().lake_dir).landing_dir("warehouse", "payments", DAY) / "data.parquet"
    assert duckdb.sql(f"select sum(amount) from '{path}'").fetchall()[0][0] > 0
