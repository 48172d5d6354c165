import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import market
from simulator.api_server import create_app, serving, variables

SATURDAY = datetime(2026, 3, 7, 12, tzinfo=UTC)
POPULATION = "/v2/country/all/indicator/SP.POP.TOTL"
JSON = {"format": "json"}
LARGE = st.integers(1500, 32_500)


@pytest.fixture(scope="module")
def reader() -> Iterator[httpx.Client]:
    """For questions alone: no test switches a fault on here."""
    with serving(create_app(lambda: SATURDAY)) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def failing() -> Iterator[httpx.Client]:
    with serving(create_app(lambda: SATURDAY)) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture
def client(failing: httpx.Client) -> httpx.Client:
    failing.delete("/_faults")
    failing.delete("/_requests")
    return failing


def page(client: httpx.Client, path: str, **query: Any) -> Any:
    response = client.get(path, params=JSON | query)
    assert response.status_code == 200
    return response.json()


def all_countries(client: httpx.Client) -> dict[str, Any]:
    return {row["id"]: row for row in page(client, "/v2/country", per_page=400)[1]}


def switch_on(client: httpx.Client, path: str, kind: str, **rest: Any) -> None:
    assert client.put("/_faults", json={"path": path, "kind": kind} | rest).status_code == 200


def element(response: httpx.Response) -> ET.Element:
    return ET.fromstring(response.content)  # noqa: S314 - from our own server


# The World Bank


def test_a_page_of_countries_has_the_live_services_meta_and_fields(reader: httpx.Client) -> None:
    meta, rows = page(reader, "/v2/country")
    assert meta == {"page": 1, "pages": 6, "per_page": "50", "total": 266}
    assert rows[0] == {
        "id": "ABW",
        "iso2Code": "AW",
        "name": "Aruba",
        "region": {"id": "LCN", "iso2code": "ZJ", "value": "Latin America & Caribbean "},
        "adminregion": {"id": "", "iso2code": "", "value": ""},
        "incomeLevel": {"id": "HIC", "iso2code": "XD", "value": "High income"},
        "lendingType": {"id": "LNX", "iso2code": "XX", "value": "Not classified"},
        "capitalCity": "Oranjestad",
        "longitude": "-70.03",
        "latitude": "12.52",
    }


def test_a_page_of_values_has_the_live_services_meta_and_fields(reader: httpx.Client) -> None:
    meta, rows = page(reader, POPULATION)
    assert meta == {
        "page": 1,
        "pages": 346,
        "per_page": 50,
        "total": 266 * 65,
        "sourceid": "2",
        "lastupdated": "2025-12-19",
    }
    assert rows[0] == {
        "indicator": {"id": "SP.POP.TOTL", "value": "Population, total"},
        "country": {"id": "ZH", "value": "Africa Eastern and Southern"},
        "countryiso3code": "AFE",
        "date": "2024",
        "value": market.indicator_values("SP.POP.TOTL")[0].value,
        "unit": "",
        "obs_status": "",
        "decimal": 0,
    }
    assert isinstance(rows[0]["value"], int)


@settings(max_examples=10, deadline=None)
@given(
    question=st.one_of(st.tuples(st.just("/v2/country"), st.integers(5, 400)), st.tuples(st.just(POPULATION), LARGE))
)
def test_pages_of_any_size_hold_every_row_once(reader: httpx.Client, question: tuple[str, int]) -> None:
    path, size = question
    pages = page(reader, path, per_page=size)[0]["pages"]
    rows = [row for number in range(1, pages + 1) for row in page(reader, path, per_page=size, page=number)[1]]
    keys = {(row.get("id"), row.get("date"), row.get("country", {}).get("id")) for row in rows}
    assert len(keys) == len(rows) == (266 if path == "/v2/country" else 266 * 65)


def test_namibia_is_na_and_so_is_the_region_of_an_aggregate(reader: httpx.Client) -> None:
    rows = all_countries(reader)
    assert rows["NAM"]["iso2Code"] == "NA"
    assert rows["NAM"]["region"]["value"] == "Sub-Saharan Africa "
    assert rows["ARB"]["region"] == {"id": "NA", "iso2code": "NA", "value": "Aggregates"}
    assert len([row for row in rows.values() if row["region"]["id"] != "NA"]) == 217


def test_only_the_regions_that_do_so_live_end_in_a_space(reader: httpx.Client) -> None:
    regions = {row["region"]["value"] for row in all_countries(reader).values()}
    assert {region for region in regions if region != region.strip()} == {
        "Latin America & Caribbean ",
        "Sub-Saharan Africa ",
    }


def test_a_row_names_its_country_by_two_codes_and_an_income_group_by_one(reader: httpx.Client) -> None:
    rows = page(reader, POPULATION, per_page=32_500)[1]
    codes = {row["country"]["id"]: row["countryiso3code"] for row in rows}
    assert codes["NA"] == "NAM"
    assert codes["XD"] == ""


def test_years_without_a_value_are_nulls(reader: httpx.Client) -> None:
    rows = page(reader, "/v2/country/all/indicator/IT.CEL.SETS", per_page=32_500)[1]
    assert {row["value"] is None for row in rows if row["date"] < "1980"} == {True}
    assert {row["value"] is None for row in rows if row["date"] >= "1980"} == {False}


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/v2/country/all/indicator/NO.SUCH.THING", {}, "120"),
        ("/v2/country/all/indicator/IC.BUS.EASE.XQ", {}, "175"),
        (POPULATION, {"per_page": 32_501}, "120"),
        (POPULATION, {"page": 0}, "120"),
        ("/v2/country", {"per_page": "many"}, "120"),
    ],
)
def test_an_error_comes_inside_a_200(reader: httpx.Client, path: str, query: dict[str, Any], code: str) -> None:
    [error] = page(reader, path, **query)
    assert [message["id"] for message in error["message"]] == [code]
    assert error["message"][0].keys() == {"id", "key", "value"}


def test_after_the_last_page_there_is_nothing(reader: httpx.Client) -> None:
    meta, rows = page(reader, "/v2/country", page=7)
    assert (meta["page"], meta["total"], rows) == (0, 0, None)


def test_without_a_format_the_answer_is_xml(reader: httpx.Client) -> None:
    names = {"wb": "http://www.worldbank.org"}
    response = reader.get("/v2/country", params={"per_page": 400})
    assert response.headers["Content-Type"] == "text/xml;charset=utf-8"
    top = element(response)
    assert top.get("per_page") == "400"
    [namibia] = top.findall("wb:country[@id='NAM']", names)
    assert namibia.findtext("wb:iso2Code", namespaces=names) == "NA"
    assert element(reader.get(POPULATION))[0].findtext("wb:date", namespaces=names) == "2024"
    error = element(reader.get("/v2/country/all/indicator/NO.SUCH.THING"))
    assert error.findall("wb:message", names)[0].get("id") == "120"


# The data


def test_ages_sum_up_to_the_population() -> None:
    parts = [market.indicator_values(f"SP.POP.{ages}.TO") for ages in ("0014", "1564", "65UP")]
    for whole, *ages in zip(market.indicator_values("SP.POP.TOTL"), *parts, strict=True):
        assert whole.value == sum(part.value or 0 for part in ages)
        assert min(part.value or 0 for part in ages) > 0


def test_an_aggregate_is_the_sum_of_its_countries() -> None:
    values = {one.id: one.value for one in market.indicator_values("IT.CEL.SETS") if one.year == 2020}
    by_region = [values[region] or 0 for region in market.REGIONS]
    assert values["WLD"] == sum(by_region) == sum(values[country.id] or 0 for country in market.countries())
    members = [country for country in market.countries() if "EMU" in country.groups]
    assert len(members) == 21
    assert values["EMU"] == sum(values[country.id] or 0 for country in members)


def test_output_per_head_is_output_divided_by_heads() -> None:
    heads, output, per_head = map(market.indicator_values, ("SP.POP.TOTL", "NY.GDP.MKTP.KD", "NY.GDP.PCAP.KD"))
    for people, total, each in zip(heads, output, per_head, strict=True):
        if people.id in {"NAM", "USA"}:
            assert (each.value or 0) * (people.value or 0) == pytest.approx(total.value)


@pytest.mark.parametrize("indicator", market.INDICATORS)
def test_every_indicator_has_values_of_countries_and_of_the_world(indicator: str) -> None:
    values = [one for one in market.indicator_values(indicator) if one.value is not None]
    assert all(one.value > 0 for one in values if one.value is not None)
    assert len({one.id for one in values}) > 70
    assert any(one.id == "WLD" for one in values)


def test_another_process_knows_the_same() -> None:
    code = """if True:
        from datetime import date
        from simulator import market
        print(list(market.indicator_values("NY.GNP.ATLS.CD")), dict(market.rates(date(2026, 2, 2))))"""
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == f"{list(market.indicator_values('NY.GNP.ATLS.CD'))} {dict(market.rates(date(2026, 2, 2)))}"


# Exchange rates


def test_a_days_rates_are_those_of_the_truth(reader: httpx.Client) -> None:
    body = reader.get("/v1/2026-03-03").json()
    assert body == {"amount": 1.0, "base": "EUR", "date": "2026-03-03", "rates": dict(market.rates(date(2026, 3, 3)))}
    assert len(body["rates"]) == 29


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("2026-03-01", "2026-02-27"),  # a Sunday
        ("2026-01-01", "2025-12-31"),
        ("2025-04-21", "2025-04-17"),  # Easter Monday
        ("2026-03-07", "2026-03-06"),
        ("2026-03-12", "2026-03-06"),  # to come
        ("latest", "2026-03-06"),
    ],
)
def test_a_day_without_rates_answers_with_the_last_working_day(reader: httpx.Client, asked: str, answered: str) -> None:
    body = reader.get(f"/v1/{asked}").json()
    assert body["date"] == answered
    assert body["rates"]["USD"] == market.rate("USD", date.fromisoformat(answered))


def test_a_days_rates_appear_at_15_utc() -> None:
    clock = iter([datetime(2026, 3, 6, 14, 59, tzinfo=UTC), datetime(2026, 3, 6, 15, tzinfo=UTC)])
    with serving(create_app(lambda: next(clock))) as url:
        assert httpx.get(f"{url}/v1/2026-03-06").json()["date"] == "2026-03-05"
        assert httpx.get(f"{url}/v1/2026-03-06").json()["date"] == "2026-03-06"


def test_a_range_has_working_days_only_and_starts_with_the_last_one_before_it(reader: httpx.Client) -> None:
    body = reader.get("/v1/2026-02-01..2026-02-10?symbols=USD,JPY").json()
    days = [date(2026, 1, 30), *(date(2026, 2, day) for day in (2, 3, 4, 5, 6, 9, 10))]
    assert (body["start_date"], body["end_date"]) == ("2026-01-30", "2026-02-10")
    assert body["rates"] == {str(day): {code: market.rate(code, day) for code in ("JPY", "USD")} for day in days}
    assert reader.get("/v1/2026-03-05..").json()["end_date"] == "2026-03-06"


def test_another_base_is_computed_from_the_euros_rates(reader: httpx.Client) -> None:
    rates = reader.get("/v1/2026-03-03?base=USD").json()["rates"]
    dollar, yen = (market.rate(code, date(2026, 3, 3)) for code in ("USD", "JPY"))
    assert rates["EUR"] == round(1 / dollar, 5)
    assert rates["JPY"] == round(yen / dollar, 2)
    assert "USD" not in rates
    assert len(rates) == 29


def test_the_currencies_are_those_that_have_rates(reader: httpx.Client) -> None:
    names = reader.get("/v1/currencies").json()
    assert names.keys() == market.CURRENCIES.keys() | {"EUR"}
    assert names["USD"] == "United States Dollar"


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ("1998-12-31", 404, "not found"),
        ("0001-01-01", 404, "not found"),
        ("2026-06-01", 404, "not found"),
        ("2026-03-08..2026-03-09", 404, "not found"),
        ("2026-03-03?symbols=XXX", 404, "not found"),
        ("2026-03-03?base=XXX", 404, "not found"),
        ("tomorrow", 404, "not found"),
        ("2026-02-30", 422, "invalid date"),
        ("2026-03-03?base=USD&symbols=USD", 422, "bad currency pair"),
    ],
)
def test_a_question_without_an_answer_is_refused(reader: httpx.Client, asked: str, status: int, message: str) -> None:
    response = reader.get(f"/v1/{asked}")
    assert (response.status_code, response.json()) == (status, {"message": message})


def test_what_the_client_has_already_is_not_sent_again(reader: httpx.Client) -> None:
    first = reader.get("/v1/2026-03-03")
    again = reader.get("/v1/2026-03-03", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert reader.get("/v1/2026-03-04", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_as_live_one_tag_stands_for_all_that_ends_on_a_day(reader: httpx.Client) -> None:
    paths = ("/v1/2026-03-03", "/v1/2026-03-03?base=USD", "/v1/2026-02-02..2026-03-03")
    assert len({reader.get(path).headers["ETag"] for path in paths}) == 1


# Faults


def test_a_server_that_is_too_busy_says_when_to_try_again(client: httpx.Client) -> None:
    switch_on(client, "/v2", "status", status=429, seconds=3, times=1)
    switch_on(client, "/v2", "status", status=429, seconds=60, http_date=True, times=1)
    busy = client.get(POPULATION)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "3")
    wait = parsedate_to_datetime(client.get(POPULATION).headers["Retry-After"]) - datetime.now(UTC)
    assert timedelta(seconds=50) < wait <= timedelta(seconds=60)
    assert client.get(POPULATION).status_code == 200


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_lasts_until_it_is_cleared_and_for_its_path_alone(client: httpx.Client, status: int) -> None:
    switch_on(client, "/v1/2026", "status", status=status)
    assert {client.get("/v1/2026-03-03").status_code for _ in range(3)} == {status}
    assert client.get("/v1/latest").status_code == 200
    [fault] = client.get("/_faults").json()
    assert (fault["path"], fault["status"], fault["times"]) == ("/v1/2026", status, None)
    assert client.delete("/_faults").json() == []
    assert client.get("/v1/2026-03-03").status_code == 200


def test_a_fault_can_wait_for_a_page(client: httpx.Client) -> None:
    switch_on(client, POPULATION, "status", query={"page": "2"}, times=1)
    answers = [client.get(POPULATION, params=JSON | {"page": number}).status_code for number in (1, 2, 2, 3)]
    assert answers == [200, 503, 200, 200]


def test_faults_that_end_come_before_those_that_last(client: httpx.Client) -> None:
    switch_on(client, "/v2", "updated")
    switch_on(client, "/v2", "status", times=2)
    assert [client.get(POPULATION).status_code for _ in range(3)] == [503, 503, 200]
    assert page(client, POPULATION)[0]["lastupdated"] == "2026-07-01"


@pytest.mark.parametrize("wrong", [{"kind": "status"}, {"path": "/", "kind": "unknown"}, {"path": "/", "mind": "slow"}])
def test_a_fault_that_makes_no_sense_is_refused(client: httpx.Client, wrong: dict[str, str]) -> None:
    assert client.post("/_faults", json=wrong).status_code == 422


def test_maintenance_is_html_with_status_200(client: httpx.Client) -> None:
    switch_on(client, "/v2", "not_json", times=1)
    response = client.get(POPULATION, params=JSON)
    assert response.status_code == 200
    assert response.text.startswith("<html>")


def test_half_a_body_is_no_json(client: httpx.Client) -> None:
    switch_on(client, "/", "truncated", times=2)
    for path in ("/v2/country", "/v1/latest"):
        response = client.get(path, params=JSON)
        assert response.status_code == 200
        assert int(response.headers["Content-Length"]) == len(response.content)
        with pytest.raises(json.JSONDecodeError):
            response.json()


def test_a_connection_closed_in_mid_body_is_seen_by_the_client(client: httpx.Client) -> None:
    switch_on(client, "/", "cut_off", times=2)
    for path in (POPULATION, "/v1/latest"):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            client.get(path, params=JSON)
    assert client.get(POPULATION, params=JSON).json()


def test_a_slow_answer_lets_the_client_time_out(client: httpx.Client) -> None:
    switch_on(client, "/v1", "slow", seconds=0.3)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/v1/latest", timeout=0.1)
    started = time.monotonic()
    assert client.get("/v1/latest", timeout=5).status_code == 200
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(
    ("kind", "path", "changed"),
    [
        ("too_many_pages", "/v2/country", {"pages": 8}),
        ("too_few_pages", POPULATION, {"pages": 345}),
        ("wrong_total", POPULATION, {"total": 266 * 65 + 7}),
    ],
)
def test_a_count_can_lie(client: httpx.Client, kind: str, path: str, changed: dict[str, int]) -> None:
    honest_meta, honest_rows = page(client, path)
    switch_on(client, path, kind, times=1)
    assert page(client, path) == [honest_meta | changed, honest_rows]


def test_rows_can_be_gone_twice_there_or_incomplete(client: httpx.Client) -> None:
    meta, rows = page(client, POPULATION)
    for kind in ("no_rows", "duplicate_row", "missing_key", "error_in_200"):
        switch_on(client, POPULATION, kind, times=1)
    assert page(client, POPULATION) == [meta, []]
    assert page(client, POPULATION) == [meta | {"total": meta["total"] + 1}, [*rows, rows[0]]]
    first, *others = page(client, POPULATION)[1]
    assert rows[0].keys() - first.keys() == {"date"}
    assert others == rows[1:]
    assert page(client, POPULATION)[0]["message"][0]["id"] == "105"
    assert page(client, POPULATION) == [meta, rows]


def test_rates_can_be_gone(client: httpx.Client) -> None:
    switch_on(client, "/v1", "no_rows", times=1)
    switch_on(client, "/v1", "missing_key", times=1)
    assert client.get("/v1/latest").json()["rates"] == {}
    assert "rates" not in client.get("/v1/latest").json()


def test_an_update_brings_a_later_date_and_one_more_year(client: httpx.Client) -> None:
    assert page(client, POPULATION)[0]["lastupdated"] == page(client, POPULATION)[0]["lastupdated"] == "2025-12-19"
    before = page(client, POPULATION, per_page=32_500)[1]
    switch_on(client, "/v2", "updated")
    meta, after = page(client, POPULATION, per_page=32_500)
    assert (meta["lastupdated"], meta["total"]) == ("2026-07-01", 266 * 66)
    assert [row for row in after if row["date"] != "2025"] == before


def test_requests_are_counted_by_path_failed_ones_too(client: httpx.Client) -> None:
    switch_on(client, "/v2", "status", times=1)
    for number in (1, 2):
        client.get(POPULATION, params={"page": number})
    client.get("/v1/latest")
    assert client.get("/_requests").json() == {POPULATION: 2, "/v1/latest": 1}
    assert client.delete("/_requests").json() == client.get("/_requests").json() == {}


# The server


def test_a_server_can_be_started_again_on_its_port_and_knows_the_same() -> None:
    answers = []
    port = 0
    for _ in range(2):
        with serving(port=port) as url:
            port = httpx.URL(url).port or 0
            answers.append(httpx.get(url + POPULATION, params=JSON).json())
            httpx.put(f"{url}/_faults", json={"path": "/", "kind": "status"})
    assert answers[0] == answers[1]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_port_that_is_taken_is_refused(reader: httpx.Client) -> None:
    with pytest.raises(OSError, match="in use"), serving(port=reader.base_url.port or 0):
        pass


def switch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator.switch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_faults_are_switched_from_a_shell(client: httpx.Client) -> None:
    url = ("--url", str(client.base_url).rstrip("/"))
    assert switch(*url).stdout == "No fault is on.\n"
    on = switch("status", "/v1", "--status", "429", "--times", "2", *url)
    assert "'times': 2" in on.stdout
    assert [client.get("/v1/latest").status_code for _ in range(3)] == [429, 429, 200]
    switch("not_json", *url)
    assert client.get("/v1/latest").text.startswith("<html>")
    assert switch("off", *url).stdout == "No fault is on.\n"
    assert client.get("/v1/latest").status_code == 200


def test_what_cannot_be_switched_is_said_without_a_traceback(client: httpx.Client) -> None:
    url = str(client.base_url).rstrip("/")
    for arguments, said in {
        ("status", "/v1", "--status", "200", "--url", url): "greater than or equal to 400",
        ("broken", "--url", url): "invalid choice",
        ("off", "--url", "http://127.0.0.1:9"): "No stand-in answers at http://127.0.0.1:9",
    }.items():
        done = switch(*arguments)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_the_stand_in_is_asked_directly_whatever_proxy_there_is(
    reader: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intranet")
    url = f"{str(reader.base_url).rstrip('/')}/v1/latest"
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    for name, value in variables(url).items():
        monkeypatch.setenv(name, value)
    assert httpx.get(url).status_code == 200
