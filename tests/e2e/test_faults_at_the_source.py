"""What a source may do wrong, done at the source: each fault is seen by the check that is there for it.

Checks that no source can break are not here. Ingestion refuses such records before the gate sees them, so that
`values_known` and its kind guard against a reader that does not know its contract; where marts have to agree with each
other, a model would have to be wrong. Unit tests see these red. Left out as well: what needs four weeks (tests/alarms),
an empty source, and figures so large that sums of doubles are no longer exact.
"""

import gzip
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.middleware.base import RequestResponseEndpoint

from liftoff import building, intake
from liftoff.plan import Window
from quality.report import Report
from simulator.api_server import create_app, serving, variables
from simulator.logs import write_day
from simulator.product import Product
from simulator.upstream import owner_uri
from simulator.warehouse import write_days
from storage.errors import Blocked
from storage.settings import load_settings
from tests.launch import Fault, Line, day, reports, rewrite_day, window

LAST = 7  # days 0 to 6 are clean, and the eighth is the one that goes wrong
Spoil = Callable[[str, Any], None]


@pytest.fixture(scope="module")
def product() -> Product:
    return Product(seed=5, users=2_500, launch_date=day(0), story="launch")


@pytest.fixture(scope="module")
def clean(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder into which seven clean days have landed, and the eighth is about to."""
    folder = tmp_path_factory.mktemp("clean") / "data"
    with pytest.MonkeyPatch.context() as patch, serving() as url:
        patch.setenv("LIFTOFF_DATA_DIR", str(folder))
        for service in ("WORLD_BANK", "FX"):
            patch.setenv(f"LIFTOFF_{service}_URL", url)
        settings = load_settings()
        for number in range(LAST + 1):
            write_day(product, day(number), settings.events_dir)
        write_days(product, [day(number) for number in range(LAST + 1)], owner_uri(settings.warehouse_uri))
        for land in (intake.land_events, intake.land_extracts, intake.land_market_data):
            land(window(0, LAST - 1))
        yield folder


@pytest.fixture
def data_dir(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(clean, tmp_path / "data"))
    for name in ("WORLD_BANK", "FX"):
        monkeypatch.setenv(f"LIFTOFF_{name}_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(folder))
    return folder


def saying(*spoils: Spoil) -> FastAPI:
    """Services whose answers are spoiled: each gets the path and the document, and may change that."""
    app = create_app()

    @app.middleware("http")
    async def spoil_all(request: Request, answer_to: RequestResponseEndpoint) -> Response:
        answer = await answer_to(request)
        if answer.status_code != 200:
            return answer
        document = json.loads(
            b"".join([cast(bytes, part) async for part in cast(StreamingResponse, answer).body_iterator])
        )
        for spoil in spoils:
            spoil(request.url.path, document)
        return JSONResponse(document)

    return app


def found(data_dir: Path, land: Callable[[Window], object], number: int = LAST) -> dict[str, str]:
    """What the audit of a day says that is neither passed nor a note."""
    before = reports(data_dir / "lake")
    with suppress(Blocked):
        land(window(number, number))
    (report,) = (report for gate_id, report in reports(data_dir / "lake").items() if gate_id not in before)
    return outcomes(report)


def outcomes(report: Report) -> dict[str, str]:
    """By check; a name that several tables have is seen in all of them with the same outcome."""
    found = {(result.name, result.outcome) for result in report.failures + report.warnings}
    assert len(dict(found)) == len(found)
    return dict(found)


def moved(line: Line, days: int) -> list[Line]:
    """The same, so many days later; nothing of a line whose times nobody can read."""
    names = ("occurred_at", "sent_at", "received_at")
    try:
        times = {name: datetime.fromisoformat(line[name]) + timedelta(days) for name in names}
    except (KeyError, TypeError, ValueError):
        return []
    return [line | {name: f"{time:%Y-%m-%dT%H:%M:%S.000Z}" for name, time in times.items()}]


def again(line: Line) -> Line:
    """The same under other ids."""
    return line | {name: f"x{line.get(name)}" for name in ("event_id", "device_id", "session_id")}


LOG_FAULTS: dict[str, tuple[Fault, dict[str, str]]] = {
    "nothing is wrong": (lambda _, line: [line], {}),
    "the files are empty": (
        lambda *_: [],
        dict.fromkeys(("row_count", "days_present", "hours_present", "platform_present"), "failed")
        | dict.fromkeys(("records_usual", "sessions_usual", "silent_hours"), "warned"),
    ),
    "two files are lost": (
        lambda hour, line: [] if hour in {3, 4} else [line],
        {"hours_present": "failed"},
    ),
    "a platform's logs are lost": (
        lambda _, line: [] if line["platform"] == "tv" else [line],
        {"platform_present": "failed", "silent_hours": "warned", "sessions_usual": "warned"},
    ),
    "a build of the app forgets who is logged in": (
        lambda _, line: [line | {"user_id": None} if line["platform"] == "ios" else line],
        {"null_user_share": "failed"},
    ),
    "a client sends a version that no contract knows": (
        lambda _, line: [line | {"schema_version": 9} if line["platform"] == "web" else line],
        {
            "quarantined_share": "failed",
            "platform_present": "failed",
            "silent_hours": "warned",
            "sessions_usual": "warned",
            "shares_steady": "warned",
        },
    ),
    "an update forgets to send heartbeats": (
        lambda _, line: [] if line["event_name"] == "playback_heartbeat" and line["platform"] == "android" else [line],
        {"events_usual": "warned"},
    ),
    "a file holds lines of the day before": (
        lambda hour, line: moved(line, days=-1) if hour == 5 and line["event_id"][-1] < "4" else [line],
        {"received_on_its_day": "failed"},
    ),
    "a country is dark for half a day": (
        lambda _, line: [] if line["country_code"] == "US" and line["occurred_at"][11:13] >= "12" else [line],
        {"silent_hours": "warned"},
    ),
    "everything comes twice, under other ids": (
        lambda _, line: [line, again(line)],
        {"sessions_usual": "warned"},
    ),
    "half of the phones say that they are televisions": (
        lambda _, line: [
            line | {"platform": "tv"}
            if line["platform"] == "android" and line.get("device_id", "")[-1:] < "8"
            else line
        ],
        {"sessions_usual": "warned"},
    ),
}


@pytest.mark.parametrize("fault", LOG_FAULTS)
def test_a_fault_of_the_logs_is_seen_where_they_land(fault: str, data_dir: Path) -> None:
    broken, expected = LOG_FAULTS[fault]
    rewrite_day(LAST, data_dir / "source/events", broken)
    assert found(data_dir, intake.land_events) == expected


UPSTREAM_FAULTS = {
    "a word that nobody promised": (
        "update business.account_changes set change_type = 'lost' where changed_at >= $1",
        {"quarantined_share": "failed", "records_usual": "warned"},
    ),
    "most changes of the day are lost": (
        "delete from business.account_changes where changed_at >= $1 and hash(user_id) % 20 > 0",
        {"records_usual": "warned"},
    ),
    "a list is empty": ("delete from business.plans", {"rows_present": "failed"}),
}


@pytest.mark.parametrize("fault", UPSTREAM_FAULTS)
def test_a_fault_of_the_warehouse_is_seen_where_it_lands(fault: str, data_dir: Path) -> None:
    statement, expected = UPSTREAM_FAULTS[fault]
    with duckdb.connect(str(data_dir / "source/warehouse.duckdb")) as upstream:
        upstream.execute(statement, [day(LAST)] if "$1" in statement else [])
    assert found(data_dir, intake.land_extracts) == expected


def countries(lacking: Callable[[Line], bool]) -> Spoil:
    """The list of countries without some."""

    def spoil(path: str, document: Any) -> None:
        if path == "/v2/country":
            meta, rows = document
            rows[:] = [row for row in rows if not lacking(row)]
            meta["total"] = len(rows)

    return spoil


def country(code: str, **new: Any) -> Spoil:
    """The list of countries, of which one says something else."""

    def spoil(path: str, document: Any) -> None:
        if path == "/v2/country":
            next(row for row in document[1] if row["iso2Code"] == code).update(new)

    return spoil


def aggregates(name: str) -> Spoil:
    """The list of countries, in which aggregates are called something else."""

    def spoil(path: str, document: Any) -> None:
        if path == "/v2/country":
            for row in document[1]:
                if row["region"]["value"] == "Aggregates":
                    row["region"]["value"] = name

    return spoil


def values(indicator: str, change: Callable[[Line], Line]) -> Spoil:
    """Each value of an indicator, changed."""

    def spoil(path: str, document: Any) -> None:
        if path.endswith(f"/{indicator}"):
            document[1][:] = map(change, document[1])

    return spoil


def returning(indicator: str, value: float) -> Spoil:
    """An indicator that was withdrawn has one value again."""

    def spoil(path: str, document: Any) -> None:
        if path.endswith(f"/{indicator}"):
            row: Line = {"indicator": {"id": indicator, "value": "Back"}, "country": {"id": "DE", "value": "Germany"}}
            row |= {"countryiso3code": "DEU", "date": "2020", "value": value}
            document[:] = [{"page": 1, "pages": 1, "per_page": 5000, "total": 1, "lastupdated": "2026-01-01"}, [row]]

    return spoil


def rates(change: Callable[[str, Line], Line | None]) -> Spoil:
    """The rates of each day, changed or left out."""

    def spoil(_: str, document: Any) -> None:
        if "rates" in document:
            new = {day: change(day, of_day) for day, of_day in document["rates"].items()}
            document["rates"] = {day: of_day for day, of_day in new.items() if of_day is not None}

    return spoil


SERVICE_FAULTS = {
    "namibia_present": countries(lambda row: row["iso2Code"] == "NA"),
    "countries_complete": countries(lambda row: row["region"]["id"] == "ECS"),
    "country_iso2_duplicate": country("AW", iso2Code="AF"),
    "region_name_missing": country("AO", region={"id": "", "value": ""}),
    "income_level_name_missing": country("AR", incomeLevel={"id": "", "value": ""}),
    "longitude_invalid": country("AG", longitude="190"),
    "latitude_invalid": country("AE", latitude="-91"),
    "year_invalid": values("IC.REG.DURS", lambda row: row | {"date": "1959"} if row["date"] == "2020" else row),
    "no_future_year": values("SP.POP.TOTL", lambda row: row | {"date": "2027"} if row["date"] == "2024" else row),
    "indicator_id_invalid": values(
        "IC.REG.PROC", lambda row: row | {"indicator": row["indicator"] | {"id": "IC.REG.PROCS"}}
    ),
    "not_negative": values("IT.CEL.SETS", lambda row: row | {"value": row["value"] and -row["value"]}),
    "base_currency_invalid": lambda _, document: document.update(base="USD") if "rates" in document else None,
    "values_present": values("IT.NET.BBND", lambda row: row | {"value": None}),
    "dollar_present": rates(lambda _, of_day: {code: rate for code, rate in of_day.items() if code != "USD"}),
    "positive": rates(lambda _, of_day: of_day | {"MXN": 0}),
    "no_slipped_point": rates(lambda day, of_day: of_day | {"INR": of_day["INR"] * (10 if day > "2025-12-29" else 1)}),
    "fresh": rates(lambda day, of_day: of_day if day < "2026-01" else None),
}
"""Each by the check that is to see it."""
MORE_SERVICE_FAULTS = {
    "countries_complete": aggregates("Aggregate"),
    "no_future_year": values(
        "SP.POP.TOTL", lambda row: row | {"date": "300000", "value": None} if row["date"] == "1960" else row
    ),
    "base_not_listed": rates(lambda _, of_day: of_day | {"EUR": 1}),
    "no_future_date": lambda _, document: (
        document["rates"].update({"2027-06-01": {"USD": 1.17}}) if "rates" in document else None
    ),
}
"""The same, of faults that those above would hide, or be hidden by."""


@pytest.mark.parametrize("faults", [{}, SERVICE_FAULTS, MORE_SERVICE_FAULTS], ids=["none", "all", "more"])
def test_faults_of_the_services_are_seen_where_they_land(
    faults: dict[str, Spoil], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(saying(*faults.values())) as url:
        for name, value in variables(url).items():
            monkeypatch.setenv(name, value)
        assert found(data_dir, intake.land_market_data) == dict.fromkeys(faults, "failed")


def lost(event: str, *platforms: str) -> Fault:
    """Events of a name do not arrive, of some platforms or of all."""
    return lambda _, line: (
        [] if line["event_name"] == event and (not platforms or line["platform"] in platforms) else [line]
    )


def changed(event: str, **properties: Any) -> Fault:
    """Each event of a name says something else."""
    return lambda _, line: [
        line | {"properties": line["properties"] | properties} if line["event_name"] == event else line
    ]


def early(hours: int, last_digit: str) -> Fault:
    """Some sessions of the evening start so many hours too early, as when an app never renews them."""

    def fault(hour: int, line: Line) -> list[Line]:
        if line["event_name"] != "app_start" or hour < hours % 24 or not line.get("device_id", "").endswith(last_digit):
            return [line]
        occurred = datetime.fromisoformat(line["occurred_at"]) - timedelta(hours=hours)
        return [line | {"occurred_at": f"{occurred:%Y-%m-%dT%H:%M:%S.000Z}"}]

    return fault


def in_thousands(_: int, line: Line) -> list[Line]:
    """A build for Android that takes seconds for milliseconds."""
    if line["event_name"] != "playback_heartbeat" or line["platform"] != "android":
        return [line]
    watched = line["properties"]["watched_seconds"] / 1000
    return [line | {"properties": line["properties"] | {"watched_seconds": watched}}]


def crashing(_: int, line: Line) -> list[Line]:
    """A build for iOS that crashes as soon as it is ready."""
    if line["event_name"] != "app_ready" or line["platform"] != "ios":
        return [line]
    crash = {"event_id": f"c{line['event_id']}", "event_name": "app_crash", "schema_version": 1}
    return [line, line | crash | {"properties": {"phase": "browse"}}]


def test_what_clients_may_do_is_published(data_dir: Path) -> None:
    """New fields, a start that is sent again as another event, a copy of which the clock was corrected meanwhile."""
    events_dir = data_dir / "source/events"
    before_midnight = max((events_dir / str(day(LAST - 1))).glob("*.gz"))
    delivered = json.loads(gzip.decompress(before_midnight.read_bytes()).splitlines()[-1])
    copy = delivered | {"sent_at": f"{day(LAST - 1)}T23:45:00.000Z", "received_at": f"{day(LAST)}T00:00:20.000Z"}

    def may_do(hour: int, line: Line) -> list[Line]:
        if line["event_name"] in {"app_crash", "title_viewed"}:
            return [line | {"properties": line["properties"] | {"playback_id": "p1"}}]
        if line["event_name"] == "playback_start" and hour == 12:
            return [line, line | {"event_id": f"x{line['event_id']}"}]
        return [line, copy] if hour == 0 and line["event_name"] == "app_start" else [line]

    rewrite_day(LAST, events_dir, may_do)
    assert found(data_dir, intake.land_events) == {}
    intake.land_extracts(window(LAST, LAST))
    assert outcomes(published(data_dir)) == {"started_once": "warned"}


MART_LOG_FAULTS: dict[str, Fault] = {
    "app_start_arrived": lost("app_start", "tv"),
    "start_arrived": lost("playback_start", "web"),
    "assignments_kept": changed("experiment_exposure", variant_id="treatment"),
    "watched_before_stop": changed("playback_stop", position_seconds=0),
    "renewed_in_time": early(14, "1"),
    "seen_as_a_whole": early(26, "2"),
    "crashes_usual": crashing,
    "watching_usual": in_thousands,
}
MART_UPSTREAM_FAULTS = {
    "titles_known": "delete from titles where title_id = 'title_42'",
    "plan_known": "delete from plans where plan_id = 'premium'",
    "experiments_known": "delete from experiments where experiment_id = 'exp_autoplay'",
    "goal_known": "update experiments set goal_metric = 'luck' where experiment_id = 'exp_home_rows'",
    "share_between": "update experiments set treatment_share = 1 where experiment_id = 'exp_new_player'",
    "sign_up_has_account": """
        delete from account_changes
        where user_id = (
            select first(user_id order by change_id)
            from account_changes
            where
                change_type = 'created'
                and changed_at >= $yesterday
                and user_id not in (select user_id from subscription_changes)
        )""",
    "monthly_price_invalid": "update plans set monthly_price = -1 where plan_id = 'basic'",
    "trial_days_invalid": "update plans set trial_days = -7 where plan_id = 'basic'",
    "release_year_invalid": "update titles set release_year = 0 where title_id = 'title_1'",
    "runtime_seconds_invalid": "update titles set runtime_seconds = 0 where title_id = 'title_2'",
    "treatment_share_invalid": "update experiments set treatment_share = 50 where experiment_id = 'exp_home_rows'",
    "times_agree": "update experiments set ended_at = started_at where experiment_id = 'exp_new_player'",
    "amount_invalid": """
        update payments
        set amount = -amount
        where payment_id not in (select payment_id from payments where status = 'settled')""",
    "states_agree": """
        update payments
        set paid_at = changed_at + interval 1 minute
        where change_id = (select max(change_id) from payments where status = 'settled')""",
    "created_once": """
        update account_changes
        set created_at = created_at + interval 1 hour
        where change_type = 'updated' and changed_at >= $today""",
    "user_known": """
        update subscription_changes
        set user_id = 'u_nobody'
        where change_id = (select max(change_id) from subscription_changes where status = 'trial')""",
    "one_owner": """
        update subscription_changes
        set currency_code = if(currency_code = 'USD', 'MXN', 'USD')
        where status = 'cancelled' and changed_at >= $today""",
    "payer_agrees": """
        update payments
        set user_id = 'u_nobody'
        where payment_id = (select min(payment_id) from payments)""",
    "charged_when_active": """
        update payments
        set subscription_id = waiting.subscription_id, user_id = waiting.user_id, currency_code = waiting.currency_code
        from (
            from subscription_changes where status = 'trial' and changed_at >= $yesterday order by change_id limit 1
        ) as waiting
        where payment_id = (select max(payment_id) from payments)""",
}
# The first day with payments has six, each in a currency of its own, but for the one that is pending. Inserted rows are
# told from those that are there by their change_id, of which a day has some hundred.
MART_BILLING_FAULTS = {
    "charged_as_listed": "update payments set amount = 100 * amount where currency_code = 'INR'",
    "charged_once": """
        insert into payments
        select * replace (change_id + 1000 as change_id, 'again' as payment_id)
        from payments
        where currency_code = 'USD'""",
    "refund_has_charge": """
        insert into payments
        select
            * replace (change_id + 1000 as change_id, 'back' as payment_id, 'refund' as kind, 1000 * amount as amount)
        from payments
        where currency_code = 'MXN'""",
    "charged_usd_invalid": "update payments set amount = -amount where currency_code = 'AUD'",
    "refunded_usd_invalid": """
        insert into payments
        select * replace (change_id + 2000 as change_id, 'less' as payment_id, 'refund' as kind, -amount as amount)
        from payments
        where payment_id = (select payment_id from payments where currency_code = 'IDR' and status = 'settled')""",
    "dates_in_range": """
        update payments
        set paid_at = paid_at + interval 1 year
        where payment_id not in (select payment_id from payments where status = 'settled')""",
    "cancelled_for_good": """
        insert into subscription_changes
        select
            * replace (change_id + 1000 as change_id, changed_at + interval 1 second as changed_at, 'trial' as status)
        from subscription_changes
        where status = 'cancelled' and changed_at >= $today
        order by change_id
        limit 1""",
}
MART_SERVICE_FAULTS = {
    "countries_known": countries(lambda row: row["iso2Code"] == "US"),
    "namibia_present": country("NA", id="NAX"),
    "world_agrees": country("1W", region={"id": "NAC", "value": "North America"}),
    "regulation_rating_invalid": values("IQ.CPA.BREG.XQ", lambda row: row | {"value": row["value"] and 7}),
    "ease_of_business_rank_invalid": returning("IC.BUS.EASE.XQ", 0),
    "dollars_known": rates(lambda published, of_day: of_day if published > str(day(0)) else None),
}
WARNED = {
    "app_start_arrived", "start_arrived", "sign_up_arrived", "assignments_kept", "renewed_in_time", "crashes_usual",
    "watching_usual",
    "titles_known", "plan_known", "experiments_known", "goal_known", "share_between", "countries_known",
    "country_known", "dollars_known", "charged_as_listed", "charged_once", "cancelled_for_good",
}  # fmt: skip


def rewrite_business(data_dir: Path, statements: Iterable[str]) -> None:
    """Do that in the warehouse of the product, as of the last day."""
    with duckdb.connect(str(data_dir / "source/warehouse.duckdb")) as upstream:
        upstream.execute("use business")
        days = {"today": day(LAST), "yesterday": day(LAST - 1)}
        for statement in statements:
            upstream.execute(statement, {name: value for name, value in days.items() if f"${name}" in statement})


def audited(data_dir: Path) -> Report:
    """What the gate says of a build of all that has landed."""
    candidate = building.prepare()
    assert candidate
    building.transform(candidate)
    with suppress(Blocked):
        building.audit(candidate)
    *_, newest = reports(data_dir / "lake").values()
    return newest


def published(data_dir: Path) -> Report:
    """What the gate says of a build of all that has landed, which readers see now."""
    report = audited(data_dir)
    assert report.passed, report.text()
    building.publish(max(path.name for path in (data_dir / "warehouse/candidates").iterdir()))
    return report


def test_where_sources_contradict_each_other_the_marts_see_it(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of_them(hour: int, line: Line) -> list[Line]:
        lines = [line]
        for fault in MART_LOG_FAULTS.values():
            lines = [new for old in lines for new in fault(hour, old)]
        return lines

    rewrite_day(LAST, data_dir / "source/events", all_of_them)
    settled = LAST - load_settings().late_arrival_days - 1  # by then, what has not arrived is lost
    rewrite_day(settled, data_dir / "source/events", lost("sign_up"))
    rewrite_business(data_dir, MART_UPSTREAM_FAULTS.values())
    taken_for_an_aggregate = country("NZ", region={"id": "NA", "value": "Aggregates"})
    in_no_known_region = country("GB", region={"id": "XX", "value": "unknown"})  # of which nothing is to be said
    with serving(saying(*MART_SERVICE_FAULTS.values(), taken_for_an_aggregate, in_no_known_region)) as url:
        for name, value in variables(url).items():
            monkeypatch.setenv(name, value)
        assert found(data_dir, intake.land_events, settled) == {}
        assert found(data_dir, intake.land_events) == {"events_usual": "warned"}  # starts, of the app and of playbacks
        intake.land_extracts(window(LAST - 1, LAST))
        assert found(data_dir, intake.land_market_data) == {}
    newest = audited(data_dir)
    # Countries in two dimensions; who is created twice, in cohorts; an amount, converted; a share of more than all.
    followed = {"country_known", "rows_present", "amount_usd_invalid"}
    followed |= {"split_right", "sample_ratio_p_value_invalid"}
    seen = {*MART_LOG_FAULTS, *MART_UPSTREAM_FAULTS, *MART_SERVICE_FAULTS, "sign_up_arrived", *followed}
    assert outcomes(newest) == {name: "warned" if name in WARNED else "failed" for name in seen}
    measured = {result.name: result.value or 0 for result in newest.failures + newest.warnings}
    assert measured["renewed_in_time"] > measured["seen_as_a_whole"] > 0, (
        "the first has to see more than the second does"
    )
    assert measured["countries_known"] == 2, "one that is not listed, and one that is as an aggregate"
    assert {one.table for one in newest.failures if one.name == "rows_present"} == {"mart_retention_driver"}
    of_the_day = {result.name for result in newest.warnings if result.days == (day(LAST),)}
    assert of_the_day == {"app_start_arrived", "start_arrived", "crashes_usual", "watching_usual"}
    told = {result.name: result.days for result in newest.warnings}
    assert (told["sign_up_arrived"], told["dollars_known"]) == ((day(settled),), (day(0),))


def test_where_billing_is_wrong_the_marts_see_it(data_dir: Path) -> None:
    rewrite_business(data_dir, MART_BILLING_FAULTS.values())
    assert found(data_dir, intake.land_events) == {}
    assert found(data_dir, intake.land_extracts) == {}
    newest = audited(data_dir)
    seen = {*MART_BILLING_FAULTS, "amount_invalid", "amount_usd_invalid"}
    assert outcomes(newest) == {name: "warned" if name in WARNED else "failed" for name in seen}
    assert {result.days for result in newest.warnings} == {(day(LAST),)}
    measured = {result.name: result.value for result in newest.failures + newest.warnings}
    assert {measured[name] for name in MART_BILLING_FAULTS if not name.endswith("_invalid")} == {1}, (
        "each sees one fault, which is to be its own"
    )


def test_who_had_an_account_before_launch_contradicts_nothing(data_dir: Path) -> None:
    testers = "user_id in (select user_id from account_changes where change_type = 'updated')"
    early = f"update account_changes set created_at = timestamp '2025-12-01' where {testers}"
    rewrite_business(data_dir, [early, f"delete from account_changes where change_type = 'created' and {testers}"])
    assert found(data_dir, intake.land_events) == {}
    intake.land_extracts(window(0, LAST))
    newest = audited(data_dir)
    assert newest.passed, newest.text()
    assert outcomes(newest) == {}


def test_a_day_that_is_delivered_again_as_the_next_one_has_no_events(data_dir: Path) -> None:
    """Its lines have new times and the ids of the day before."""
    folder = data_dir / "source/events"
    for path in (folder / str(day(LAST))).glob("*.gz"):
        shutil.copy(folder / str(day(LAST - 1)) / path.name, path)
    rewrite_day(LAST, folder, lambda _, line: moved(line, days=1))
    assert found(data_dir, intake.land_events) == {}
    intake.land_extracts(window(LAST, LAST))
    newest = audited(data_dir)
    assert outcomes(newest) == {"days_present": "failed"}


def test_a_session_that_goes_on_days_later_is_seen_by_the_next_build(data_dir: Path) -> None:
    """A build does not read so far back: what it makes of the session contradicts what is there."""
    published(data_dir)
    folder = data_dir / "source/events"
    old: Line = {}
    rewrite_day(3, folder, lambda _, line: old.update(line) or [line] if line["event_name"] == "sign_up" else [line])
    goes_on = {name: old[name] for name in ("device_id", "session_id", "user_id", "platform")}
    names = {"app_crash", "experiment_exposure", "playback_start"}
    rewrite_day(
        LAST, folder, lambda hour, line: [line | goes_on] if hour == 12 and line["event_name"] in names else [line]
    )
    assert found(data_dir, intake.land_events) == {}
    intake.land_extracts(window(LAST, LAST))
    newest = audited(data_dir)
    seen = dict.fromkeys(("sessions_agree", "within_session", "times_agree", "rows_present"), "failed")
    assert outcomes(newest) == seen | {"start_arrived": "warned"}  # what goes on without its start
