"""What third-party services may answer, and what then lands."""

import asyncio
import dataclasses
import gzip
import itertools
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ingestion import services
from ingestion.api import stage_market_data
from ingestion.endpoints import ENDPOINTS_FILE, load_endpoints
from ingestion.services import AT_ONCE, LISTING_TRIES, RETRY_AFTER_SECONDS, TRIES, NoAnswer, Services
from simulator import market
from simulator.api_server import serving
from storage.errors import LiftoffError
from storage.files import replace
from storage.lake import Lake, Outcome
from storage.settings import load_settings

DAY = date(2026, 2, 14)  # a Saturday
SUNDAY, MONDAY = DAY + timedelta(days=1), DAY + timedelta(days=2)
ENDPOINTS = {endpoint.table: endpoint for endpoint in load_endpoints()}
INDICATORS = ENDPOINTS["indicators"].each["indicator_id"]
Fault = httpx.Response | Exception | Callable[[httpx.Response], httpx.Response]


def country(iso3: str, iso2: str, **changes: Any) -> dict[str, Any]:
    """One of `/v2/country`."""
    group = {"id": "SSF", "iso2code": "ZG", "value": "Sub-Saharan Africa "}
    return {
        "id": iso3,
        "iso2Code": iso2,
        "name": iso3.title(),
        "region": group,
        "adminregion": group,
        "incomeLevel": {"id": "UMC", "iso2code": "XT", "value": "Upper middle income"},
        "lendingType": {"id": "IBD", "iso2code": "XF", "value": "IBRD"},
        "capitalCity": "Windhoek",
        "longitude": "17.0931",
        "latitude": "-22.5648",
    } | changes


def observation(indicator: str, iso2: str, year: int, value: float | None = 1.5) -> dict[str, Any]:
    """One of `/v2/country/all/indicator/{id}`."""
    return {
        "indicator": {"id": indicator, "value": f"All of {indicator}"},
        "country": {"id": iso2, "value": f"Country {iso2}"},
        "countryiso3code": f"{iso2}X",
        "date": str(year),
        "value": value,
        "unit": "",
        "obs_status": "",
        "decimal": 0,
    }


class FakeServices(httpx.AsyncBaseTransport):
    """Both services by their public contracts, and what a test puts in the way."""

    def __init__(self) -> None:
        aggregates = {"id": "NA", "iso2code": "NA", "value": "Aggregates"}
        self.countries = [
            country("ARB", "1A", region=aggregates, capitalCity="", longitude="", latitude=""),
            country("NAM", "NA"),
            country("ZAF", "ZA"),
        ]
        self.observations = {
            indicator: [observation(indicator, iso2, year) for iso2 in ("1A", "NA", "ZA") for year in (2024, 2023)]
            for indicator in INDICATORS
        }
        self.unknown = {"IC.BUS.EASE.XQ": "120"}
        self.updated: str | None = "2026-01-28"
        self.largest_page = 32_500
        self.rates = '{"2025-12-27":{"USD":1.0834},"2026-02-13":{"JPY":163.2,"USD":1.0871}}'
        self.requests: list[httpx.Request] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self._faults: list[tuple[str, Iterator[Fault]]] = []

    def fail(self, part_of_url: str, *faults: Fault, forever: bool = False) -> None:
        """Answer the next requests like that with the faults, one after another, or always with the first."""
        self._faults.append((part_of_url, itertools.repeat(faults[0]) if forever else iter(faults)))

    def count(self, part_of_url: str = "") -> int:
        """How many requests there were whose URL holds that."""
        return sum(part_of_url in str(request.url) for request in self.requests)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        service = request.url.path[:3]
        self.at_once[service] += 1
        self.most_at_once[service] = max(self.most_at_once[service], self.at_once[service])
        for _ in range(3):
            await asyncio.sleep(0)  # lets the others come in
        self.at_once[service] -= 1
        for part, faults in self._faults:
            if part in str(request.url) and (fault := next(faults, None)):
                if isinstance(fault, Exception):
                    raise fault
                return fault(self._answer(request)) if not isinstance(fault, httpx.Response) else copy(fault)
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/v2/country":
            return self._page(request, self.countries, "50")
        if path.startswith("/v2/country/all/indicator/"):
            indicator = path.rsplit("/", 1)[1]
            if code := self.unknown.get(indicator):
                return said(code)
            return self._page(request, self.observations[indicator], sourceid="2", lastupdated=self.updated)
        start, end = path.removeprefix("/v1/").split("..")
        body = f'{{"amount":1.0,"base":"EUR","start_date":"{start}","end_date":"{end}","rates":{self.rates}}}'
        etag = f'"{hash(self.rates)}"'
        if request.headers.get("if-none-match") == etag:
            return httpx.Response(304)
        return httpx.Response(200, text=body, headers={"etag": etag})

    def _page(
        self, request: httpx.Request, rows: list[dict[str, Any]], kind: str = "", **meta: str | None
    ) -> httpx.Response:
        size = min(int(request.url.params["per_page"]), self.largest_page)
        number = int(request.url.params["page"])
        assert request.url.params["format"] == "json"
        pages = math.ceil(len(rows) / size)
        head = {"page": number, "pages": pages, "per_page": str(size) if kind else size, "total": len(rows), **meta}
        return httpx.Response(200, json=[head, rows[(number - 1) * size : number * size] or None])


def copy(response: httpx.Response) -> httpx.Response:
    """A response can be given once."""
    return httpx.Response(response.status_code, content=response.content, headers=response.headers)


def said(code: str) -> httpx.Response:
    """An error of the World Bank, which comes with status 200."""
    message = {"id": code, "key": "Invalid value", "value": "The provided parameter value is not valid"}
    return httpx.Response(200, json=[{"message": [message]}])


def changed(**changes: Any) -> Callable[[httpx.Response], httpx.Response]:
    """The page, with another word in its head."""

    def change(response: httpx.Response) -> httpx.Response:
        head, rows = response.json()
        return httpx.Response(200, json=[head | changes, rows])

    return change


def cut(response: httpx.Response) -> httpx.Response:
    """The first half of the body."""
    return httpx.Response(200, content=response.content[: len(response.content) // 2])


@pytest.fixture
def fake() -> FakeServices:
    """Services that answer well."""
    return FakeServices()


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited each time; nobody waits for real."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(services, "sleep", sleep)
    return waits


def stage(fake: httpx.AsyncBaseTransport, day: date = DAY) -> dict[str, Outcome]:
    """The outcome of each table."""
    settings = load_settings()
    return {
        outcome.table: outcome for outcome in stage_market_data(settings, Lake(settings.lake_dir), day, transport=fake)
    }


def land(fake: httpx.AsyncBaseTransport, day: date = DAY) -> dict[str, Outcome]:
    """The same, and what is staged passes its audit."""
    outcomes = stage(fake, day)
    lake = Lake(load_settings().lake_dir)
    return {
        table: lake.accept(outcome) if outcome.status == "staged" else outcome for table, outcome in outcomes.items()
    }


def rows(outcome: Outcome, name: str = "data") -> list[dict[str, Any]]:
    """What is staged, or quarantined."""
    path = Lake(load_settings().lake_dir).pending(outcome) / f"{name}.parquet"
    found: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist() if path.exists() else []
    return found


def pending() -> list[Path]:
    """What attempts have left in the lake's pending area."""
    return sorted((load_settings().lake_dir / "pending").glob("*/*"))


def test_every_endpoint_lands_with_its_declared_columns_and_its_ingest_id(fake: FakeServices) -> None:
    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "DECIMAL(18,8)": pa.decimal128(18, 8),
    }
    for table, outcome in stage(fake).items():
        path = Lake(load_settings().lake_dir).pending(outcome) / "data.parquet"
        declared = {name: types[column.type] for name, column in ENDPOINTS[table].columns.items()}
        assert {field.name: field.type for field in pq.read_schema(path)} == declared
        assert pq.read_metadata(path).metadata[b"ingest_id"].decode() == outcome.ingest_id
        assert (outcome.status, outcome.source, outcome.day) == ("staged", ENDPOINTS[table].service, DAY)
        assert (outcome.read, outcome.accepted, outcome.quarantined) == (len(rows(outcome)),) * 2 + (0,)
        assert [path.name for path in pending() if path.parent.name == outcome.ingest_id] == ["data.parquet"]
    assert [outcome.read for outcome in stage(fake).values()] == [3, 13 * 6, 3]


def test_na_is_namibia_and_the_region_of_aggregates_and_never_a_null(fake: FakeServices) -> None:
    outcomes = stage(fake)
    codes = {row["country_iso3"]: (row["country_iso2"], row["region_id"]) for row in rows(outcomes["countries"])}
    assert codes == {"ARB": ("1A", "NA"), "NAM": ("NA", "SSF"), "ZAF": ("ZA", "SSF")}
    assert sum(row["country_iso2"] == "NA" for row in rows(outcomes["indicators"])) == 13 * 2


def test_values_land_as_they_were_sent_and_an_empty_text_is_no_value(fake: FakeServices) -> None:
    arab_world, namibia, _ = rows(stage(fake)["countries"])
    assert (arab_world["capital_city"], arab_world["longitude"]) == (None, None)
    assert (namibia["longitude"], namibia["latitude"]) == (17.0931, -22.5648)
    assert namibia["region_name"] == "Sub-Saharan Africa "


@pytest.mark.parametrize("name", ["Côte d'Ivoire", 'a "b"\n\\ c', "\u0000", "\U0001f30d", "  ", "null"])
def test_any_text_lands_as_it_was_sent(fake: FakeServices, name: str) -> None:
    fake.countries[1]["name"] = name
    assert [row["country_name"] for row in rows(stage(fake)["countries"])][1] == name


def test_an_observation_without_a_value_lands_with_null(fake: FakeServices) -> None:
    fake.observations[INDICATORS[0]][0]["value"] = None
    fake.observations[INDICATORS[0]][1]["value"] = 25462700000000.125
    staged = [row for row in rows(stage(fake)["indicators"]) if row["indicator_id"] == INDICATORS[0]]
    assert [(row["year"], row["value"]) for row in staged[:2]] == [(2023, 25462700000000.125), (2024, None)]
    assert staged[0]["updated_date"] == date(2026, 1, 28)


def test_rates_keep_every_digit(fake: FakeServices) -> None:
    sent = {"USD": "9999999999.12345678", "IDR": "1e-8", "JPY": "163.20", "KRW": "1473", "GBP": "0.1234567800"}
    fake.rates = f'{{"2026-02-13":{{{",".join(f"{json.dumps(code)}:{rate}" for code, rate in sent.items())}}}}}'
    landed = {row["currency_code"]: row["rate"] for row in rows(stage(fake)["rates"])}
    assert landed == {code: Decimal(rate) for code, rate in sent.items()}


@pytest.mark.parametrize(
    "rate", ["1.123456789", "10000000000", "1e30", "1e-30", "1e999999", "1.00000000000000000000000000000001"]
)
def test_a_rate_with_more_digits_than_fit_is_quarantined_and_never_rounded(fake: FakeServices, rate: str) -> None:
    fake.rates = f'{{"2026-02-13":{{"JPY":163.2,"USD":{rate}}}}}'
    outcome = stage(fake)["rates"]
    [refused] = rows(outcome, "quarantine")
    assert (outcome.read, outcome.accepted, refused["reason"]) == (2, 1, "out_of_range")
    assert json.loads(refused["raw"])["currency_code"] == "USD"


def test_rates_are_asked_for_from_a_week_before_launch_to_the_windows_end(fake: FakeServices) -> None:
    outcome = stage(fake)["rates"]
    [request] = [request for request in fake.requests if request.url.path.startswith("/v1")]
    assert request.url.path == "/v1/2025-12-29..2026-02-14"
    assert dict(request.url.params) == {"base": "EUR"}
    # Without a rate on the first day the service begins with the last one before it; weekends have none.
    assert sorted({str(row["rate_date"]) for row in rows(outcome)}) == ["2025-12-27", "2026-02-13"]


@pytest.mark.parametrize("code", ["120", "175"])
def test_an_indicator_that_the_service_does_not_know_is_a_warning_and_the_rest_lands(
    fake: FakeServices, code: str
) -> None:
    fake.unknown = {"IC.REG.DURS": code}
    outcome = stage(fake)["indicators"]
    [warning] = outcome.warnings
    assert "IC.REG.DURS" in warning
    assert "not valid" in warning
    assert {row["indicator_id"] for row in rows(outcome)} == {*INDICATORS} - {"IC.REG.DURS"}
    assert fake.count("IC.REG.DURS") == 1


def test_an_indicator_without_any_row_is_a_warning(fake: FakeServices) -> None:
    fake.observations["IC.REG.DURS"] = []
    outcome = stage(fake)["indicators"]
    assert outcome.status == "staged"
    assert any("IC.REG.DURS" in warning and "no rows" in warning for warning in outcome.warnings)


def test_a_service_that_knows_no_indicator_at_all_is_not_believed(fake: FakeServices) -> None:
    fake.unknown = dict.fromkeys(INDICATORS, "120")
    assert stage(fake)["indicators"].status == "failed"


def html(status: int) -> httpx.Response:
    """A page for people."""
    return httpx.Response(status, html="<html>Request Error</html>")


PASSING: dict[str, Fault] = {
    "too many requests": httpx.Response(429),
    "server error": httpx.Response(500),
    "unavailable": httpx.Response(503),
    "time-out": httpx.ReadTimeout("timed out"),
    "refused": httpx.ConnectError("connection refused"),
    "reset": httpx.ReadError("connection reset by peer"),
    "closed in mid-body": httpx.RemoteProtocolError("peer closed connection"),
    "half of the JSON": cut,
    "no JSON": html(200),
    "no body": httpx.Response(200),
    "too deep": httpx.Response(200, content=b"[" * 100_000 + b"]" * 100_000),
    "no UTF-8": httpx.Response(200, content=b'["\xff\xfe"]'),
    "JSON of something else": httpx.Response(200, json={"status": "ok"}),
    "a bad request that is none": html(400),
}
LYING: dict[str, Fault] = {
    "more pages than rows": changed(pages=3),
    "pages without end": changed(total=10**12, pages=10**12 // 4),
    "fewer pages": changed(pages=1),
    "a larger total": changed(total=9),
    "a smaller total": changed(total=4),
    "no rows": lambda answer: httpx.Response(200, json=[answer.json()[0], []]),
    "another page": changed(page=7),
    "no number": changed(total="many"),
    "a service's own trouble": said("105"),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(fake: FakeServices, name: str) -> None:
    urls = ("/v1/", "/v2/country?", "/indicator/SP.POP.TOTL")
    for url in urls:
        fake.fail(url, PASSING[name], PASSING[name])
    outcomes = stage(fake)
    assert {outcome.status for outcome in outcomes.values()} == {"staged"}
    assert [fake.count(url) for url in urls] == [3, 3, 3]
    assert [outcome.accepted for outcome in outcomes.values()] == [3, 13 * 6, 3]


@pytest.mark.parametrize("name", PASSING)
def test_what_does_not_pass_is_given_up_after_a_few_tries_and_leaves_nothing(
    fake: FakeServices, name: str, slept: list[float]
) -> None:
    fake.fail("/v1/", PASSING[name], forever=True)
    outcome = stage(fake)["rates"]
    assert (outcome.status, outcome.ingest_id, outcome.read) == ("failed", "", 0)
    assert "/v1/2025-12-29..2026-02-14?base=EUR" in outcome.reason
    assert "LIFTOFF_FX_URL" in outcome.reason
    assert fake.count("/v1/") == TRIES
    assert sum(slept) < 60
    assert not [path for path in pending() if "rate" in path.read_text("latin-1")]


@pytest.mark.parametrize("of_day", ["null", "5", '"none"', "[]x", ""])
def test_rates_of_another_shape_do_not_land(fake: FakeServices, of_day: str) -> None:
    fake.rates = f'{{"2026-02-12":{{"USD":1.08}},"2026-02-13":{of_day}}}'
    outcome = stage(fake)["rates"]
    assert outcome.status == "failed"
    assert fake.count("/v1/") == TRIES


@pytest.mark.parametrize("rates", ["{}", '{"2026-02-13":{}}', "null", "[]"])
def test_an_answer_without_a_single_rate_is_not_believed(fake: FakeServices, rates: str) -> None:
    fake.rates = rates
    assert stage(fake)["rates"].status == "failed"
    assert fake.count("/v1/") == TRIES


@pytest.mark.parametrize("name", LYING)
@pytest.mark.parametrize("page", ["&page=1", "&page=2"])
def test_pages_that_do_not_fit_are_read_again_from_the_first(fake: FakeServices, name: str, page: str) -> None:
    if (name, page) == ("another page", "&page=2"):
        fake.fail("SP.POP.TOTL", *[lambda answer: answer] * 2)
    fake.largest_page = 4
    fake.fail(f"SP.POP.TOTL?format=json&per_page=5000{page}", LYING[name])
    outcomes = stage(fake)
    assert outcomes["indicators"].status == "staged"
    assert (outcomes["indicators"].accepted, outcomes["indicators"].duplicates) == (13 * 6, 0)


@pytest.mark.parametrize("name", LYING)
@pytest.mark.parametrize("page", ["&page=1", "&page=2"])
def test_pages_that_never_fit_do_not_land_in_part(fake: FakeServices, name: str, page: str) -> None:
    fake.largest_page = 4
    fake.fail(f"SP.POP.TOTL?format=json&per_page=5000{page}", LYING[name], forever=True)
    outcome = stage(fake)["indicators"]
    assert outcome.status == "failed"
    assert "SP.POP.TOTL" in outcome.reason
    assert "LIFTOFF_WORLD_BANK_URL" in outcome.reason
    assert fake.count("SP.POP.TOTL") <= max(TRIES, LISTING_TRIES) * 3
    assert len({path.parent for path in pending()}) == 2  # the other two tables


def test_a_page_that_comes_twice_is_found_out(fake: FakeServices) -> None:
    fake.largest_page = 3
    first = fake.observations["SP.POP.TOTL"][:3]
    fake.fail(
        "SP.POP.TOTL?format=json&per_page=5000&page=2",
        lambda answer: httpx.Response(200, json=[answer.json()[0], first]),
        forever=True,
    )
    outcome = stage(fake)["indicators"]
    assert outcome.status == "failed"
    assert "page 2 repeats 3 records" in outcome.reason


def test_data_that_is_updated_between_two_pages_is_read_again(fake: FakeServices) -> None:
    fake.largest_page = 4
    fake.fail("SP.POP.TOTL?format=json&per_page=5000&page=2", changed(lastupdated="2026-02-01"))
    assert stage(fake)["indicators"].status == "staged"
    assert fake.count("SP.POP.TOTL") == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422])
def test_a_refusal_is_final(fake: FakeServices, status: int) -> None:
    fake.fail("/v1/", httpx.Response(status, json={"message": "not found"}), forever=True)
    outcome = stage(fake)["rates"]
    assert fake.count("/v1/") == 1
    assert str(status) in outcome.reason


@pytest.mark.parametrize("address", ["localhost:1", "ftp://example.org", "http://example.org:port", "https://"])
def test_an_address_that_is_none_is_named_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, address: str, slept: list[float]
) -> None:
    monkeypatch.setenv("LIFTOFF_FX_URL", address)
    monkeypatch.setenv("LIFTOFF_WORLD_BANK_URL", address)
    for outcome in stage_market_data(load_settings(), Lake(load_settings().lake_dir), DAY):
        assert outcome.status == "failed"
        assert f"LIFTOFF_{outcome.source.upper()}_URL" in outcome.reason
    assert not slept


def in_half_a_minute() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        (lambda: "25", 25, 25),
        (in_half_a_minute, 28, 30),
        (lambda: "86400", RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS),
        (lambda: "Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS),
        (lambda: "Thu, 01 Jan 1970 00:00:00 GMT", 0, 5),
        (lambda: "Fri, 31 Dec 9999 23:59:59 -0100", RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS),
        (lambda: "-3", 0, 5),
        (lambda: "soon", 0, 5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_to_up_to_a_limit(
    fake: FakeServices, slept: list[float], status: int, said: Callable[[], str], least: float, most: float
) -> None:
    fake.fail("/v1/", httpx.Response(status, headers={"retry-after": said()}))
    assert stage(fake)["rates"].status == "staged"
    [wait] = slept
    assert least <= wait <= most


def test_waits_grow_and_differ(fake: FakeServices, slept: list[float]) -> None:
    fake.fail("/v1/", httpx.Response(503), forever=True)
    stage(fake)
    assert len(slept) == TRIES - 1
    assert slept == sorted(slept)
    assert len({wait % 1 for wait in slept}) == len(slept)  # jitter, so that many clients do not come back together


def test_all_waits_together_end(fake: FakeServices, monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(slept))
    monkeypatch.setattr(services, "TOTAL_SECONDS", 100.0)
    fake.fail("/v1/", httpx.Response(429, headers={"retry-after": "3600"}), forever=True)
    outcome = stage(fake)["rates"]
    assert outcome.status == "failed"
    assert "longer than 100 s" in outcome.reason
    assert sum(slept) <= 100 + RETRY_AFTER_SECONDS


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(services, "ANSWER_SECONDS", 0.02)
    for outcome in stage(Silent()).values():
        assert outcome.status == "failed"
        assert "no whole answer within" in outcome.reason


def test_what_has_not_changed_is_not_fetched_again(fake: FakeServices) -> None:
    land(fake)
    fake.requests.clear()
    outcomes = stage(fake)
    assert {outcome.status for outcome in outcomes.values()} == {"unchanged"}
    assert {outcome.ingest_id for outcome in outcomes.values()} == {""}
    assert not pending()
    # One row of each indicator says when it was updated. The list of countries, one page, says nothing of the kind.
    assert fake.count("per_page=1&page=1") == len(INDICATORS)
    assert (fake.count("/v2/country?"), fake.count("/v1/")) == (1, 1)
    assert len(fake.requests) == len(INDICATORS) + 2


def test_an_etag_is_used_for_its_own_url_alone(fake: FakeServices) -> None:
    land(fake)
    for day, conditional in ((DAY, True), (MONDAY, False)):
        fake.requests.clear()
        assert stage(fake, day)["rates"].status == "unchanged"  # on the second day for its content
        [request] = [request for request in fake.requests if request.url.path.startswith("/v1")]
        assert ("if-none-match" in request.headers) is conditional


def test_a_service_is_not_asked_about_days_on_which_it_publishes_nothing(fake: FakeServices) -> None:
    land(fake)
    fake.requests.clear()
    assert stage(fake, SUNDAY)["rates"].status == "unchanged"
    assert fake.count("/v1/") == 0
    assert fake.count("/v2/") > 0, "the other service publishes on any day"
    stage(fake, MONDAY)
    assert fake.count("/v1/") == 1


def test_an_old_day_that_no_build_reads_does_not_fail_for_want_of_an_answer(fake: FakeServices) -> None:
    land(fake)
    fake.fail("/v1/", httpx.Response(404), forever=True)
    outcome = stage(fake, DAY - timedelta(days=20))["rates"]
    assert outcome.status == "stale"
    assert f"Builds read that of {DAY}" in outcome.reason


def test_what_was_updated_is_fetched_whole(fake: FakeServices) -> None:
    land(fake)
    fake.updated = "2026-02-10"
    fake.rates = fake.rates.replace("163.2", "163.3")
    fake.countries.append(country("LSO", "LS"))
    assert [(outcome.status, outcome.read) for outcome in stage(fake).values()] == [
        ("staged", 4),
        ("staged", 13 * 6),
        ("staged", 3),
    ]


@pytest.mark.parametrize("unknown", [{}, {"IC.BUS.EASE.XQ": "120", "IC.REG.DURS": "175"}])
def test_an_indicator_that_comes_or_goes_is_a_change(fake: FakeServices, unknown: dict[str, str]) -> None:
    land(fake)
    fake.unknown = unknown
    assert stage(fake)["indicators"].status == "staged"


def test_an_earlier_day_does_not_look_at_later_landings(fake: FakeServices) -> None:
    land(fake)
    earlier = stage(fake, DAY - timedelta(days=1))
    assert {outcome.status for outcome in earlier.values()} == {"staged"}


def test_another_address_is_another_source(fake: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    land(fake)
    monkeypatch.setenv("LIFTOFF_WORLD_BANK_URL", "http://elsewhere.example")
    fake.requests.clear()
    stage(fake)
    assert fake.count("per_page=1&") == 0
    assert fake.count("elsewhere.example") == len(INDICATORS) + 1


def test_what_was_interrupted_is_landed_again_though_nothing_changed(fake: FakeServices) -> None:
    land(fake)
    [again] = [outcome for outcome in stage(FakeServices(), DAY).values() if outcome.table == "countries"]
    assert again.status == "unchanged"
    fake.updated = "2026-02-10"
    lake = Lake(load_settings().lake_dir)
    staged = stage(fake)["indicators"]
    replace(lake.pending(staged) / "data.parquet", lake.landing_dir("world_bank", "indicators", DAY) / "data.parquet")
    assert land(fake)["indicators"].status == "accepted"
    assert lake.partitions("world_bank", "indicators")


def test_other_rules_ask_for_a_new_landing(fake: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(load_settings().lake_dir)
    for outcome in stage(fake).values():
        lake.accept(dataclasses.replace(outcome, rules=load_settings().service_rules))
    assert {outcome.status for outcome in stage(fake).values()} == {"unchanged"}
    monkeypatch.setenv("LIFTOFF_LATE_ARRIVAL_DAYS", "5")
    assert {outcome.status for outcome in stage(fake).values()} == {"unchanged"}, "this is about logs"
    monkeypatch.setenv("LIFTOFF_LAUNCH_DATE", "2026-01-04")
    assert {outcome.status for outcome in stage(fake).values()} == {"staged"}


@pytest.mark.parametrize(
    "content",
    [None, b"", b"no gzip", gzip.compress(b"no JSON", mtime=0)[:-9]],
    ids=["none", "empty", "no gzip", "cut off"],  # the same in each worker
)
def test_without_the_kept_answers_all_is_fetched(fake: FakeServices, content: bytes | None) -> None:
    land(fake)
    for path in (load_settings().lake_dir / "responses").rglob("*.gz"):
        path.write_bytes(content) if content is not None else path.unlink()
    assert {outcome.status for outcome in stage(fake).values()} == {"staged"}


def test_new_declarations_ask_for_a_new_landing(fake: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    land(fake)
    changed = tuple(endpoint.model_copy(update={"digest": "another"}) for endpoint in load_endpoints())
    monkeypatch.setattr("ingestion.api.load_endpoints", lambda: changed)
    assert {outcome.status for outcome in stage(fake).values()} == {"staged"}


@pytest.mark.parametrize(("table", "url", "limit"), [("rates", "/v1/", 10), ("indicators", "/indicator/", 100)])
def test_a_service_that_is_down_is_a_warning_while_its_last_landing_is_young(
    fake: FakeServices, table: str, url: str, limit: int
) -> None:
    land(fake)
    fake.fail(url, httpx.Response(503), forever=True)
    young = stage(fake, DAY + timedelta(days=limit - 1))[table]
    old = stage(fake, DAY + timedelta(days=limit))[table]
    assert (young.status, old.status) == ("stale", "failed")
    assert "2026-02-14" in young.reason
    assert f"{limit} days ago" in old.reason
    assert not [path for path in pending() if path.parent.name == young.ingest_id]


def test_one_service_down_does_not_hold_back_the_other(fake: FakeServices) -> None:
    fake.fail("/v2/", httpx.Response(503), forever=True)
    statuses = {table: outcome.status for table, outcome in stage(fake).items()}
    assert statuses == {"countries": "failed", "indicators": "failed", "rates": "staged"}


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("country",), None, "missing_field"),
        (("country", "id"), "", "missing_field"),
        (("date",), None, "missing_field"),
        (("date",), "2024Q1", "wrong_type"),
        (("date",), 2024.5, "wrong_type"),
        (("date",), "\u0662\u0660\u0662\u0664", "wrong_type"),
        (("date",), "99999999999999999999", "out_of_range"),
        (("value",), "many", "wrong_type"),
        (("value",), True, "wrong_type"),
        (("value",), "1e999", "out_of_range"),
        (("country", "value"), 7, "wrong_type"),
        (("country", "value"), {"en": "Namibia"}, "wrong_type"),
    ],
)
def test_a_record_that_is_not_as_declared_is_quarantined_with_the_reason(
    fake: FakeServices, place: tuple[str, ...], value: Any, reason: str
) -> None:
    record = fake.observations["SP.POP.TOTL"][2]
    *way, last = place
    for step in way:
        record = record[step]
    record[last] = value
    outcome = stage(fake)["indicators"]
    [refused] = rows(outcome, "quarantine")
    assert (refused["reason"], refused["line"]) == (reason, 3)
    assert "SP.POP.TOTL" in refused["file"]
    assert "SP.POP.TOTL" in refused["raw"].decode()
    assert (outcome.read, outcome.accepted, outcome.quarantined) == (13 * 6, 13 * 6 - 1, 1)


def test_a_record_that_comes_twice_lands_once(fake: FakeServices) -> None:
    fake.observations["SP.POP.TOTL"].append(fake.observations["SP.POP.TOTL"][0])
    outcome = stage(fake)["indicators"]
    assert (outcome.read, outcome.accepted, outcome.quarantined, outcome.duplicates) == (13 * 6 + 1, 13 * 6, 0, 1)


def test_records_that_contradict_each_other_are_quarantined_both(fake: FakeServices) -> None:
    fake.observations["SP.POP.TOTL"].append(observation("SP.POP.TOTL", "1A", 2024, 2.5))
    outcome = stage(fake)["indicators"]
    assert (outcome.read, outcome.accepted, outcome.quarantined) == (13 * 6 + 1, 13 * 6 - 1, 2)
    assert [(row["reason"], row["line"]) for row in rows(outcome, "quarantine")] == [
        ("duplicate_key", 1),
        ("duplicate_key", 7),
    ]


@pytest.mark.parametrize("value", [5, "text", None, [], {}])
def test_a_record_of_another_shape_is_quarantined(fake: FakeServices, value: Any) -> None:
    fake.countries[1] = value
    outcome = stage(fake)["countries"]
    assert (outcome.read, outcome.accepted, outcome.quarantined) == (3, 2, 1)


def test_a_landing_of_which_nothing_is_left_is_still_counted(fake: FakeServices) -> None:
    fake.rates = '{"2026-02-13":{"USD":null}}'
    outcome = stage(fake)["rates"]
    assert (outcome.status, outcome.read, outcome.accepted, outcome.quarantined) == ("staged", 1, 0, 1)


def test_answers_are_kept_as_they_came(fake: FakeServices) -> None:
    fake.largest_page = 4
    sent: list[bytes] = []

    def keep(answer: httpx.Response) -> httpx.Response:
        sent.append(answer.content)
        return answer

    fake.fail("", *[keep] * 200)
    before = datetime.now(UTC)
    outcomes = land(fake)
    kept = []
    for outcome in outcomes.values():
        folder = load_settings().lake_dir / "responses" / outcome.source / outcome.table / f"dt={DAY}"
        with gzip.open(folder / f"{outcome.ingest_id}.jsonl.gz") as lines:
            kept += [json.loads(line) for line in lines]
    bodies = [line["body"].encode() for line in kept if line["body"]]
    messages = [line for line in kept if line["body"] is None]
    assert sorted(bodies) == sorted(body for body in sent if b"message" not in body)
    assert [line["validator"] for line in messages] == ["The provided parameter value is not valid"]
    for line in kept:
        if line["body"]:
            assert before <= datetime.fromisoformat(line["fetched_at"]) <= datetime.now(UTC)
            assert line["url"] in {str(request.url) for request in fake.requests}


def test_no_more_than_a_few_requests_at_once_go_to_a_service(fake: FakeServices) -> None:
    fake.largest_page = 1
    stage(fake)
    assert fake.most_at_once == {"/v1": 1, "/v2": AT_ONCE}


def test_a_byte_order_mark_is_no_part_of_an_answer(fake: FakeServices) -> None:
    fake.fail("/v2/country?", lambda answer: httpx.Response(200, content=b"\xef\xbb\xbf" + answer.content))
    assert stage(fake)["countries"].accepted == 3


def test_a_landing_is_the_same_however_it_was_paged_or_ordered(fake: FakeServices) -> None:
    whole = {table: outcome.content_hash for table, outcome in stage(fake).items()}
    fake.largest_page = 2
    fake.countries.reverse()
    assert {table: outcome.content_hash for table, outcome in stage(fake).items()} == whole


def test_a_full_disk_is_a_failure_that_leaves_nothing(fake: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ingestion.landing.write_data", full)
    for outcome in stage(fake).values():
        assert outcome.status == "failed"
        assert "disk" in outcome.reason
    assert not pending()


def fetched(fake: httpx.AsyncBaseTransport) -> list[Any]:
    """The records of the first listing of indicators that the fake knows."""

    async def fetch() -> Any:
        async with httpx.AsyncClient(transport=fake) as http:
            endpoint = ENDPOINTS["indicators"].model_copy(update={"each": {"indicator_id": ("X",)}})
            return await Services(http).fetch(endpoint, "http://fake.example", {})

    [listing] = asyncio.run(fetch())
    return [row for answer in listing.answers for row in answer.document[1]]


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 60), size=st.integers(1, 25))
def test_all_pages_together_are_all_rows_once_and_in_order(count: int, size: int) -> None:
    fake = FakeServices()
    fake.largest_page = size
    fake.observations = {"X": [observation("X", f"C{number}", 2024, number) for number in range(count)]}
    assert [row["value"] for row in fetched(fake)] == list(range(count))
    assert len(fake.requests) == math.ceil(count / size)


@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), count=st.integers(1, 40), size=st.integers(1, 15))
def test_whatever_pages_say_they_land_whole_or_not_at_all(data: st.DataObject, count: int, size: int) -> None:
    fake = FakeServices()
    fake.largest_page = size
    everything = [observation("X", f"C{number}", 2024, number) for number in range(count)]
    fake.observations = {"X": everything}
    number = data.draw(st.integers(1, math.ceil(count / size)), label="page")
    head = data.draw(
        st.fixed_dictionaries(
            {}, optional={name: st.integers(0, 50) for name in ("page", "pages", "total", "per_page")}
        ),
        label="head",
    )
    body = data.draw(st.none() | st.lists(st.sampled_from(everything), max_size=20), label="rows")

    def lie(answer: httpx.Response) -> httpx.Response:
        meta, rows = answer.json()
        return httpx.Response(200, json=[meta | head, rows if body is None else body])

    fake.fail(f"&page={number}", lie, forever=True)
    try:
        found = fetched(fake)
    except NoAnswer:
        return
    if number == 1 and head.get("total") is not None:
        assert len(found) == head["total"]  # a lie that fits itself in every respect
    else:
        assert len(found) == count
    pages_of = defaultdict(set)
    for position, row in enumerate(found):
        pages_of[row["country"]["id"]].add(position // head.get("per_page", size) if number == 1 else position // size)
    assert {len(pages) for pages in pages_of.values()} <= {1}  # repeats are told from pages that come twice


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    """The address of the simulated services."""
    with serving() as url:
        yield url


@pytest.fixture
def stand_in_day(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Outcome]]:
    """Stages a day from the simulated services, of two indicators: one is unknown to them."""
    httpx.delete(f"{stand_in}/_faults")
    monkeypatch.setenv("LIFTOFF_WORLD_BANK_URL", stand_in)
    monkeypatch.setenv("LIFTOFF_FX_URL", f"{stand_in}/")
    few = {"each": {"indicator_id": ("SP.POP.TOTL", "IC.BUS.EASE.XQ")}}
    declared = tuple(endpoint.model_copy(update=few) if endpoint.each else endpoint for endpoint in ENDPOINTS.values())
    monkeypatch.setattr("ingestion.api.load_endpoints", lambda: declared)
    return lambda: stage(httpx.AsyncHTTPTransport())


def test_what_the_simulated_services_serve_lands_as_it_is_true(stand_in_day: Callable[[], dict[str, Outcome]]) -> None:
    outcomes = stand_in_day()
    landed = {(row["country_iso2"], row["year"]): row["value"] for row in rows(outcomes["indicators"])}
    assert landed == {(one.iso2, one.year): one.value for one in market.indicator_values("SP.POP.TOTL")}
    assert len(outcomes["indicators"].warnings) == 1
    assert {one.iso2 for one in market.countries()} < {row["country_iso2"] for row in rows(outcomes["countries"])}
    for row in rows(outcomes["rates"]):
        assert row["rate"] == Decimal(str(market.rate(row["currency_code"], row["rate_date"])))
    days = market.business_days(date(2025, 12, 29), DAY)
    assert sorted({row["rate_date"] for row in rows(outcomes["rates"])}) == days


@pytest.mark.parametrize(
    "fault",
    [
        *({"kind": "status", "status": status, "seconds": 1, "http_date": status == 503} for status in (429, 500, 503)),
        *({"kind": kind} for kind in ("cut_off", "truncated", "not_json")),
        *(
            {"kind": kind, "path": "/v2/"}
            for kind in ("error_in_200", "too_many_pages", "too_few_pages", "wrong_total", "no_rows")
        ),
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_each_fault_of_the_simulated_services_is_overcome(
    stand_in: str, stand_in_day: Callable[[], dict[str, Outcome]], fault: dict[str, Any]
) -> None:
    httpx.put(f"{stand_in}/_faults", json={"path": "/v", "times": 2} | fault).raise_for_status()
    outcomes = stand_in_day()
    assert {outcome.status for outcome in outcomes.values()} == {"staged"}
    assert outcomes["indicators"].accepted == len(market.indicator_values("SP.POP.TOTL"))
    assert not any(outcome.quarantined or outcome.duplicates for outcome in outcomes.values())


def test_spoilt_records_of_the_simulated_services_are_counted(
    stand_in: str, stand_in_day: Callable[[], dict[str, Outcome]]
) -> None:
    for kind in ("duplicate_row", "missing_key"):
        httpx.delete(f"{stand_in}/_faults")
        httpx.put(f"{stand_in}/_faults", json={"path": "/v2/country", "kind": kind, "query": {"per_page": "1000"}})
        outcome = stand_in_day()["countries"]
        assert outcome.read == outcome.accepted + 1
        assert (outcome.duplicates, outcome.quarantined) == ((1, 0) if kind == "duplicate_row" else (0, 1))


def test_what_the_simulated_services_have_new_is_fetched_and_nothing_else(
    stand_in: str, stand_in_day: Callable[[], dict[str, Outcome]]
) -> None:
    lake = Lake(load_settings().lake_dir)
    for outcome in stand_in_day().values():
        lake.accept(outcome)
    httpx.delete(f"{stand_in}/_requests")
    assert {outcome.status for outcome in stand_in_day().values()} == {"unchanged"}
    assert set(httpx.get(f"{stand_in}/_requests").json().values()) == {1}
    httpx.put(f"{stand_in}/_faults", json={"path": "/v2/country/all", "kind": "updated"})
    assert {table: outcome.status for table, outcome in stand_in_day().items()} == {
        "countries": "unchanged",
        "indicators": "staged",
        "rates": "unchanged",
    }


def test_declarations_that_cannot_be_asked_for_are_refused(tmp_path: Path) -> None:
    text = ENDPOINTS_FILE.read_text()
    for number, (old, new) in enumerate(
        [
            ("key: [country_iso3]", "key: [iso3]"),
            ("key: [country_iso3]", "key: [capital_city]"),
            ("type: DOUBLE", "type: FLOAT"),
            ("paging: whole", "paging: cursor"),
            ("fresh_for_days: 10\n", ""),
            ("countries:", "countries: ["),
        ]
    ):
        path = tmp_path / f"{number}.yml"
        path.write_text(text.replace(old, new, 1))
        assert path.read_text() != text
        with pytest.raises(LiftoffError, match=str(path)):
            load_endpoints(path)
