"""The dbt project: its house rules, its unit tests, and what builds make of events."""

import random
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from contracts import load_event_contracts
from contracts.tables import load_table_contracts
from ingestion.endpoints import load_endpoints
from liftoff.dbt import DBT_PROJECT_DIR, NodeResult, TransformFailed, build_models, models_digest, run_unit_tests
from storage.settings import Settings

LAUNCH = date(2026, 1, 5)
DAY = timedelta(days=1)
MODELS = sorted((DBT_PROJECT_DIR / "models").rglob("*.sql"))
TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}


@dataclass
class Lake:
    """Landings of events by day, written as parquet files with the columns that their rows have."""

    folder: Path
    landings: dict[date, list[Mapping[str, Any]]] = field(default_factory=dict)

    def land(self, day: date, events: Iterable[Mapping[str, Any]]) -> set[date]:
        """Write the landing of one day, replacing it. Returns the event days that it holds or held."""
        before, self.landings[day] = self.landings.get(day, []), [dict(event) for event in events]
        present = {name for event in self.landings[day] for name in event}
        landed = load_event_contracts().landed
        schema = pa.schema([(name, TYPES[kind]) for name, kind in landed.items() if name in present])
        self.folder.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(self.landings[day], schema), self.path(day))
        return {event["event_at"].date() for event in [*before, *self.landings[day]]}

    def path(self, day: date) -> Path:
        return self.folder / f"{day}.parquet"


@dataclass
class Warehouse:
    """One database that is built again and again."""

    settings: Settings
    lake: Lake
    folder: Path

    def build(self, touched: Iterable[date], **variables: Any) -> list[NodeResult]:
        """Build as the flow does: restate the touched days and their neighbours, read one day more on either side."""
        self.folder.mkdir(exist_ok=True)
        restated = around(touched)
        return build_models(
            self.settings,
            self.folder / "liftoff.duckdb",
            self.folder / "scratch.duckdb",
            {
                "launch_date": str(LAUNCH),
                "last_date": str(max(self.lake.landings, default=LAUNCH)),
                "restated_dates": [str(day) for day in restated],
                "read_dates": [str(day) for day in around(restated)],
                "landing_files": {"events.events": [str(self.lake.path(day)) for day in self.lake.landings]},
                **variables,
            },
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "liftoff.duckdb"), read_only=True) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
            return rows

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, in an order of their own."""
        return {
            name: self.query(f"select * from {name} order by all")
            for (name,) in self.query("select table_name from duckdb_tables() order by all")
        }


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One data folder for all tests, so that the project is parsed once."""
    return Settings(data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "landings")


@pytest.fixture
def warehouse(settings: Settings, lake: Lake, tmp_path: Path) -> Warehouse:
    return Warehouse(settings, lake, tmp_path / "warehouse")


@pytest.fixture(scope="module")
def on_an_empty_lake(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """All models, built from nothing."""
    folder = tmp_path_factory.mktemp("empty")
    warehouse = Warehouse(settings, Lake(folder / "landings"), folder / "warehouse")
    warehouse.build([])
    return warehouse


def around(days: Iterable[date]) -> list[date]:
    return sorted({day + DAY * step for day in days for step in (-1, 0, 1)})


def event(event_id: str, event_name: str, event_at: str, **fields: Any) -> dict[str, Any]:
    """An accepted event as it lands, received a second after it happened unless told otherwise."""
    at = datetime.fromisoformat(f"2026-01-{event_at}")
    received_at = fields.pop("received_at", None)
    return {
        "event_id": event_id,
        "event_name": event_name,
        "schema_version": 1,
        "occurred_at": at,
        "sent_at": at,
        "received_at": datetime.fromisoformat(f"2026-01-{received_at}") if received_at else at + timedelta(seconds=1),
        "event_at": at,
        "user_id": None,
        "device_id": "d1",
        "session_id": "s1",
        "platform": "tv",
        "app_version": "1.0.0",
        "country_code": "NA",
        **fields,
    }


def describe(model: Path) -> dict[str, Any]:
    """What a model's YAML says of it."""
    (described,) = yaml.safe_load(model.with_suffix(".yml").read_text())["models"]
    return described  # type: ignore[no-any-return]


# --- house rules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_every_model_says_its_grain_owner_and_decision(model: Path) -> None:
    assert model.with_suffix(".yml").exists(), f"{model.stem}: describe it in {model.stem}.yml beside the SQL"
    described, meta = describe(model), describe(model)["config"]["meta"]
    assert described["name"] == model.stem, f"{model.stem}.yml describes {described['name']}: one model, one file"
    assert model.read_text().startswith("-- Grain: "), f"{model.stem}: begin the SQL with '-- Grain: one row per ...'"
    assert described["description"].startswith("Grain: "), f"{model.stem}: begin the description with 'Grain: ...'"
    assert meta.keys() == {"owner", "decision"}, f"{model.stem}: config.meta names its owner and the decision it serves"
    tests = [test for test in described["data_tests"] if "grain" in test]
    assert tests, f"{model.stem}: add the data test 'grain' with the columns that make a row unique"


def test_models_are_found_where_their_names_say() -> None:
    places = {"stg_": "staging", "int_": "intermediate"}
    places |= dict.fromkeys(("dim_", "fct_", "bridge_", "mart_"), "marts")
    assert len(MODELS) >= 30, "the models were not found: check DBT_PROJECT_DIR"
    for model in MODELS:
        prefix = model.stem.partition("_")[0] + "_"
        assert places.get(prefix) in model.parts, f"{model.stem}: {prefix} models lie in models/{places.get(prefix)}"


def test_every_metric_says_its_meaning_owner_and_decision() -> None:
    described = [yaml.safe_load(model.with_suffix(".yml").read_text()) for model in MODELS]
    metrics = [metric for content in described for metric in content.get("metrics", ())]
    assert len(metrics) >= 10
    for metric in metrics:
        assert metric["label"], f"metric {metric['name']}: give it a label, which people read"
        assert metric["description"], f"metric {metric['name']}: say what it means"
        meta = metric["config"]["meta"].keys()
        assert meta == {"owner", "decision"}, f"metric {metric['name']}: config.meta names its owner and its decision"


def test_decisions_depend_on_what_a_release_holds() -> None:
    exposures = yaml.safe_load((DBT_PROJECT_DIR / "models/exposures.yml").read_text())["exposures"]
    assert len(exposures) >= 4
    marts = {model.stem for model in MODELS if "marts" in model.parts}
    for exposure in exposures:
        models = set(re.findall(r"ref\('(\w+)'\)", " ".join(exposure["depends_on"])))
        assert models, f"exposure {exposure['name']}: which marts answer it?"
        assert models <= marts, f"exposure {exposure['name']}: {models - marts} are not in a release"


def test_every_column_is_described_and_every_description_has_its_column(on_an_empty_lake: Warehouse) -> None:
    built: dict[str, list[str]] = {}  # columns by model
    for database in ("liftoff", "scratch"):
        with duckdb.connect(str(on_an_empty_lake.folder / f"{database}.duckdb"), read_only=True) as connection:
            columns = "select table_name, column_name from duckdb_columns() where not internal order by column_index"
            for model, column in connection.execute(columns).fetchall():
                built.setdefault(model, []).append(column)
    for model in MODELS:
        columns = describe(model)["columns"]
        assert [column["name"] for column in columns] == built[model.stem], f"{model.stem}.yml: list these columns"
        for column in columns:
            assert column["description"], f"{model.stem}.{column['name']}: say what it means"


def declared_columns(source_name: str) -> dict[str, dict[str, str]]:
    """Type by column of each table of a dbt source."""
    path = DBT_PROJECT_DIR / f"models/staging/{source_name}/sources.yml"
    (source,) = yaml.safe_load(path.read_text())["sources"]
    assert source["name"] == source_name, f"{path} declares {source['name']}: one source, one folder of its name"
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        for table in source["tables"]
    }


def portable(sql_type: str) -> str:
    """What a source calls a type, so that both engines know it."""
    return sql_type.lower().replace("varchar", "string")


def test_the_warehouse_source_declares_what_lands_by_the_contracts() -> None:
    assert declared_columns("warehouse") == {
        contract.table: {column.landed_name: portable(column.landed_type) for column in contract.columns}
        for contract in load_table_contracts().values()
    }, "warehouse/sources.yml: declare each landed column of contracts/tables/ with its type"


@pytest.mark.parametrize("service", sorted({endpoint.service for endpoint in load_endpoints()}))
def test_the_sources_of_services_declare_what_their_endpoints_land(service: str) -> None:
    assert declared_columns(service) == {
        endpoint.table: {name: portable(column.type) for name, column in endpoint.columns.items()}
        for endpoint in load_endpoints()
        if endpoint.service == service
    }, f"{service}/sources.yml: declare each column of ingestion/endpoints.yml with its type"


def test_all_content_decides_between_copies_of_an_event() -> None:
    model = DBT_PROJECT_DIR / "models/intermediate/int_event__deduplicated.sql"
    _, content, _ = re.split(r"set content = \[|\]", model.read_text(), maxsplit=2)
    columns = {column["name"] for column in describe(model)["columns"]}
    settled_before = {"event_id", "received_at", "received_date", "event_date"}  # dates follow from their times
    assert set(re.findall(r"\w+", content)) == columns - settled_before, f"{model.stem}: list each column in content"


def test_the_digest_follows_the_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("dbt_project.yml", "models/a.sql", "macros/b.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr("liftoff.dbt.DBT_PROJECT_DIR", tmp_path)
    digests = [models_digest()]
    (tmp_path / "models/a.sql").rename(tmp_path / "models/c.sql")
    digests.append(models_digest())
    (tmp_path / "macros/b.sql").write_text("changed")
    digests.append(models_digest())
    assert len(set(digests)) == 3
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in digests)


# --- builds --------------------------------------------------------------------------------------------------------


def test_the_models_unit_tests_hold(on_an_empty_lake: Warehouse) -> None:
    folder = on_an_empty_lake.folder
    results = run_unit_tests(on_an_empty_lake.settings, folder / "liftoff.duckdb", folder / "scratch.duckdb")
    assert len(results) >= 42
    assert {result.status for result in results} == {"pass"}


def test_events_become_sessions_users_and_metrics(warehouse: Warehouse, lake: Lake) -> None:
    over_midnight = {"device_id": "shared", "session_id": "over midnight"}
    viewing = {"playback_id": "p1", "title_id": "t1"}
    lake.land(
        LAUNCH,
        [
            event("a1", "app_start", "05T23:58:00", **over_midnight, start_type="cold"),
            event("a2", "app_ready", "05T23:58:10", **over_midnight),
            event("a3", "sign_up", "05T23:59:00", **over_midnight, user_id="ann", method="email"),
            event("b1", "app_start", "05T10:00:00", device_id="bob's", user_id="bob", platform="android"),
            event("b2", "sign_up", "05T10:00:01", device_id="bob's", user_id="bob", platform="android"),
            event(
                "b3", "app_crash", "05T10:00:02", device_id="bob's", user_id="bob", platform="android", phase="startup"
            ),
            event("v1", "app_start", "05T11:00:00", device_id="visitor's"),
            event("v2", "app_ready", "05T11:00:05", device_id="visitor's"),
        ],
    )
    lake.land(
        LAUNCH + DAY,
        [
            event("a4", "playback_start", "06T00:01:00", **over_midnight, user_id="ann", **viewing),
            event("a2", "app_ready", "05T23:58:10", **over_midnight, received_at="06T00:10:00"),
        ],
    )
    results = warehouse.build([LAUNCH, LAUNCH + DAY])

    assert {result.status for result in results} == {"success", "pass"}
    assert warehouse.query(
        "select session_id, session_date, user_id, event_count, is_crash_free from fct_session order by device_id"
    ) == [
        ("s1", LAUNCH, "bob", 3, False),
        ("over midnight", LAUNCH, "ann", 4, True),
        ("s1", LAUNCH, None, 2, True),
    ]
    assert warehouse.query(
        "select user_id, activity_date, has_opened, has_used from fct_user_activity_day order by all"
    ) == [
        ("ann", LAUNCH, True, True),
        ("ann", LAUNCH + DAY, True, True),
        ("bob", LAUNCH, True, False),
    ]
    assert warehouse.query("select * from mart_active_users_daily order by all") == [
        (LAUNCH, 1, 1, 2, 1, True, False),
        (LAUNCH + DAY, 1, 1, 1, 0, True, False),
    ]
    assert warehouse.query(
        "select user_id, device_id, device_weight, user_weight from bridge_user_device order by all"
    ) == [("ann", "shared", 1, 1), ("bob", "bob's", 1, 1)]
    assert warehouse.query("select playback_id, session_id, user_id, playback_date from fct_playback") == [
        ("p1", "over midnight", "ann", LAUNCH + DAY)
    ]


def random_events() -> list[dict[str, Any]]:
    """Sessions around four midnights, of one user, two or none, with re-deliveries and late events among them."""
    dice = random.Random(20260105)
    names = ["app_start", "app_ready", "sign_up", "title_viewed", "app_crash"]
    names += ["playback_start", "playback_heartbeat", "playback_stop"]
    events: list[dict[str, Any]] = []
    for session in range(300):
        at = datetime.fromisoformat("2026-01-05T18:00") + timedelta(hours=dice.randrange(96))
        people = dice.sample([None, "ann", "bob", "eve"], 2)
        for _ in range(dice.randrange(1, 7)):
            at += timedelta(minutes=dice.choice([0, 1, 90]))
            late = dice.choice([0, 0, 0, 1, 3])
            name = dice.choice(names)
            playback = {"playback_id": dice.choice(["p1", "p1", "p2"]), "title_id": dice.choice(["t1", "t2"])}
            sent = event(
                f"e{len(events):04}",
                name,
                f"{at:%dT%H:%M:%S}",
                device_id=f"d{session % 40}",
                session_id=f"s{session}",
                user_id=dice.choice(people),
                platform=dice.choice(["tv", "ios", "web"]),
                phase="startup",
                watched_seconds=dice.random() * 300 if name == "playback_heartbeat" else None,
                received_at=f"{at + late * DAY:%dT%H:%M:%S}",
                **(playback if name.startswith("playback") else {}),
            )
            events.append(sent)
            if dice.random() < 0.2:
                events.append(
                    {**sent, "received_at": sent["received_at"] + dice.choice([0, 1]) * DAY, "platform": "android"}
                )
    return events


def moved_copies() -> list[dict[str, Any]]:
    """Two events delivered again with an earlier event time: one moved over a midnight, the other by two days."""
    near = {"device_id": "near", "session_id": "near"}
    return [
        event("near", "app_ready", "07T00:00:00", **near, user_id="ann", received_at="06T23:59:59"),
        event("near", "app_ready", "06T23:59:59", **near, user_id="ann", received_at="07T10:00:00"),
        event("far", "app_ready", "09T10:00:00", device_id="far", session_id="9th"),
        event("far", "app_ready", "07T10:00:00", device_id="far", session_id="7th", received_at="10T10:00:00"),
    ]


def test_builds_by_landing_in_any_order_equal_one_full_build(settings: Settings, lake: Lake, tmp_path: Path) -> None:
    events = [*random_events(), *moved_copies()]
    days = sorted({sent["received_at"].date() for sent in events})
    landings = {day: {sent["event_id"]: sent for sent in events if sent["received_at"].date() == day} for day in days}
    daily = Warehouse(settings, lake, tmp_path / "daily")

    for day in (days[2], days[0], days[1]):
        daily.build(lake.land(day, landings[day].values()))
    daily.build(set().union(*(lake.land(day, landings[day].values()) for day in days[3:])))
    repaired = [sent for sent in landings[days[1]].values() if sent["event_at"].date() != days[1]]
    daily.build(lake.land(days[1], repaired))  # whole sessions vanish, and their days may stay empty

    at_once = Warehouse(settings, lake, tmp_path / "at_once")
    at_once.build({sent["event_at"].date() for rows in lake.landings.values() for sent in rows})
    assert len(at_once.query("from fct_session")) > 200
    assert len(at_once.query("from fct_playback where heartbeat_count > 1")) > 10
    assert len(at_once.query("from bridge_user_device where user_weight < 1")) > 10
    assert at_once.query(
        "select session_id, session_date, event_count from fct_session where device_id in ('near', 'far') order by all"
    ) == [("7th", date(2026, 1, 7), 1), ("9th", date(2026, 1, 9), 1), ("near", date(2026, 1, 7), 1)]
    assert daily.tables() == at_once.tables()


@pytest.fixture
def payments(tmp_path: Path) -> dict[str, Any]:
    """The vars of a build with an account, and two payments in reais that its subscription led to: settled, pending."""
    landings = {
        "account_changes": """
            1::bigint as change_id, timestamp '2026-01-05 09:00:00' as changed_at, 'created' as change_type,
            'ann' as user_id, timestamp '2026-01-05 09:00:00' as created_at, 'af30' as email_hash,
            '77b1' as full_name_hash, 1990::bigint as birth_year, 'BR' as country_code, 'tv' as acquisition_platform,
            true as has_marketing_consent
        """,
        "payments": """
            n as change_id, timestamp '2026-01-06 10:00:00' as changed_at, 'p' || n as payment_id,
            's1' as subscription_id, 'ann' as user_id, 'charge' as kind, if(n = 1, 'settled', 'pending') as status,
            29.9::decimal(18, 4) as amount, 'BRL' as currency_code, timestamp '2026-01-05 23:00:00' as paid_at
            from range(1, 3) as t(n)
        """,
        "rates": """
            date '2026-01-02' as rate_date, 'EUR' as base_currency, 'BRL' as currency_code,
            6.3::decimal(18, 8) as rate
            union all select date '2026-01-02', 'EUR', 'USD', 1.1
        """,
    }
    for table, sql in landings.items():
        duckdb.execute(f"copy (select {sql}) to '{tmp_path}/{table}.parquet'")
    sources = {"account_changes": "warehouse", "payments": "warehouse", "rates": "fx"}
    files = {f"{source}.{table}": [f"{tmp_path}/{table}.parquet"] for table, source in sources.items()}
    return {"last_date": "2026-01-06", "landing_files": files}


def test_landings_of_all_sources_become_people_and_money(warehouse: Warehouse, payments: dict[str, Any]) -> None:
    results = warehouse.build([], **payments)
    assert {result.status for result in results} == {"success", "pass"}
    assert warehouse.query(
        "select user_id, version_number, account_status, created_date, country_code from dim_user"
    ) == [("ann", 1, "open", LAUNCH, "BR")]
    assert warehouse.query(
        "select cohort_users, retained_users from mart_retention_cohort "
        f"where cohort_grain = 'day' and cohort_date = '{LAUNCH}' and period_number <= 1"
    ) == [(1, 0), (1, 0)]
    assert warehouse.query("select payment_id, amount_usd, revenue_usd from fct_payment order by all") == [
        ("p1", Decimal("5.2206"), Decimal("5.2206")),
        ("p2", Decimal("5.2206"), Decimal(0)),
    ]


def test_a_settled_payment_without_a_rate_stops_the_build(warehouse: Warehouse, payments: dict[str, Any]) -> None:
    del payments["landing_files"]["fx.rates"]
    with pytest.raises(TransformFailed, match=r"a_settled_payment_has_a_rate: Got 1 result"):
        warehouse.build([], **payments)


@pytest.mark.parametrize(
    ("later", "stops"), [(["pending"], True), (["failed"], False), (["pending", "settled"], False)]
)
def test_a_settled_payment_that_is_pending_again_stops_the_build_until_billing_says_more(
    later: list[str], *, stops: bool, warehouse: Warehouse, payments: dict[str, Any]
) -> None:
    (landed,) = payments["landing_files"]["warehouse.payments"]
    changes = "".join(
        f"""
        union all
        select * replace (
            {3 + number} as change_id, changed_at + to_hours({1 + number}) as changed_at, '{status}' as status
        )
        from '{landed}'
        where status = 'settled'
        """
        for number, status in enumerate(later)
    )
    duckdb.execute(f"copy (from '{landed}' {changes}) to '{landed}.new' (format parquet)")
    payments["landing_files"]["warehouse.payments"] = [f"{landed}.new"]
    if stops:
        with pytest.raises(TransformFailed, match=r"a_settled_payment_is_not_pending_again: Got 1 result"):
            warehouse.build([], **payments)
    else:
        warehouse.build([], **payments)


def test_an_event_id_on_days_far_apart_is_warned_of(warehouse: Warehouse, lake: Lake) -> None:
    lake.land(LAUNCH, [event("same id", "app_ready", "05T10:00:00", session_id="first")])
    lake.land(LAUNCH + 2 * DAY, [event("same id", "app_ready", "07T10:00:00", session_id="second")])
    results = warehouse.build([LAUNCH, LAUNCH + 2 * DAY])
    assert [result.name for result in results if result.status == "warn"] == ["an_event_id_stays_on_its_day"]
    assert warehouse.query("select session_date from fct_session order by all") == [(LAUNCH,), (LAUNCH + 2 * DAY,)]


def test_a_test_that_fails_stops_the_build_and_names_the_log(warehouse: Warehouse, lake: Lake) -> None:
    lake.land(LAUNCH, [event("same id", "app_ready", "05T10:00:00"), event("same id", "app_start", "05T11:00:00")])
    with pytest.raises(TransformFailed, match="grain_stg_events__event") as failure:
        warehouse.build([LAUNCH])
    log = Path(re.search(r"\S+dbt\.log", str(failure.value)).group())  # type: ignore[union-attr]
    assert "grain_stg_events__event" in log.read_text()


@pytest.mark.parametrize("outcome", ["built", "failed"])
def test_nothing_holds_the_database_after_a_build(
    warehouse: Warehouse, outcome: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if outcome == "built":
        warehouse.build([LAUNCH])
    else:
        with pytest.raises(TransformFailed, match="has_misspelled"):
            warehouse.build([LAUNCH], active_definition="misspelled")
    assert sorted(path.name for path in warehouse.folder.iterdir()) == ["liftoff.duckdb", "scratch.duckdb"]
    opened = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table written (n int)')"
    subprocess.run([sys.executable, "-c", opened, str(warehouse.folder / "liftoff.duckdb")], check=True)
    assert capfd.readouterr() == ("", "")
