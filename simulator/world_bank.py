"""The World Bank's Indicators API v2, by its public contract (live: `https://api.worldbank.org`).

`/v2/country` and `/v2/country/all/indicator/{id}`:
- With `format=json` an answer is `[meta, rows]`, without it is XML. A page has 50 rows unless `per_page` asks for more,
  at most 32,500. `meta.per_page` is a string for countries and a number for an indicator; only the latter has
  `sourceid` (a string) and `lastupdated`. There is no ETag.
- An error comes with status 200, as `[{"message": [{"id", "key", "value"}]}]`: 120 for a value that it does not know,
  such as an indicator that never was; 175 for an indicator that it lists but no longer serves. IC.BUS.EASE.XQ is such
  a one since the Doing Business survey ended. Where there is nothing to answer it says `[{"page": 0, ...}, null]`;
  that it does so for a page after the last one is our guess.
- Aggregates stand among the countries: their region is `NA`, "Aggregates". Namibia's `iso2Code` is `NA` as well.
  The region names "Latin America & Caribbean " and "Sub-Saharan Africa " end in a space.
- A row's `country.id` is the code of two letters; `countryiso3code` is that of three, but empty for income groups.
  Aggregates come before countries, each with its latest year first, and with a null for a year without a value.
- Left out: other filters (`date`, `mrv`, `source`, ...), and some 30 aggregates of which it has no rows.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

from fastapi import APIRouter, Request, Response

from simulator import market
from simulator.faults import Fault
from simulator.switch import Kind

Row = dict[str, Any]
Record = TypeVar("Record")

LAST_UPDATED, UPDATED_AGAIN = "2025-12-19", "2026-07-01"
MAX_PER_PAGE = 32_500
ERRORS = {
    105: ("Service currently unavailable", "The requested service is temporarily unavailable"),
    120: ("Invalid value", "The provided parameter value is not valid"),
    175: ("Invalid format", "The indicator was not found. It may have been deleted or archived."),
}
NOTHING = {"page": 0, "pages": 0, "per_page": 0, "total": 0, "sourceid": None, "lastupdated": None}
NO_LONGER_SERVED = {"IC.BUS.EASE.XQ"}
INCOME_GROUPS = {"HIC", "INX", "LIC", "LMC", "LMY", "MIC", "UMC"}
LENDING = {"IBD": ("XF", "IBRD"), "IDB": ("XH", "Blend"), "IDX": ("XI", "IDA"), "LNX": ("XX", "Not classified")}
NAMES_WITH_A_SPACE = {"LCN", "SSF"}

router = APIRouter(prefix="/v2")


@router.get("/country")
def list_countries(request: Request) -> Response:
    """Countries and aggregates, by code."""
    return _page(request, _country_rows(), dict, str, {})


@router.get("/country/all/indicator/{indicator}")
def list_values(request: Request, indicator: str) -> Response:
    """All years of one indicator."""
    if indicator in NO_LONGER_SERVED:
        return _document(request, _error(175))
    if indicator not in market.INDICATORS:
        return _document(request, _error(120))
    fault: Fault | None = request.scope["fault"]
    is_updated = fault is not None and fault.kind == Kind.UPDATED
    values = market.indicator_values(indicator, market.LAST_YEAR + is_updated)
    meta = {"sourceid": "2", "lastupdated": UPDATED_AGAIN if is_updated else LAST_UPDATED}
    return _page(request, values, lambda value: _value_row(indicator, value), int, meta)


def _page(
    request: Request,
    records: Sequence[Record],
    row: Callable[[Record], Row],
    count: type[int] | type[str],
    extra: Row,
) -> Response:
    """The page that is asked for, of `records` made into rows; `count` is the type of `meta.per_page`."""
    root, item = ("countries", "country") if count is str else ("data", "data")
    query = request.query_params
    try:
        number, size = int(query.get("page", 1)), int(query.get("per_page", 50))
    except ValueError:
        return _document(request, _error(120))
    if number < 1 or not 1 <= size <= MAX_PER_PAGE:
        return _document(request, _error(120))
    pages = -(-len(records) // size)
    if number > pages:
        return _document(request, [NOTHING, None], root, item)
    meta = {"page": number, "pages": pages, "per_page": count(size), "total": len(records)} | extra
    document = [meta, [row(record) for record in records[(number - 1) * size : number * size]]]
    _spoil(document, request.scope["fault"])
    return _document(request, document, root, item)


def _spoil(document: list[Any], fault: Fault | None) -> None:
    meta, rows = document
    match fault and fault.kind:
        case Kind.ERROR_IN_200:
            document[:] = _error(105)
        case Kind.TOO_MANY_PAGES:
            meta["pages"] += 2
        case Kind.TOO_FEW_PAGES:
            meta["pages"] -= 1
        case Kind.WRONG_TOTAL:
            meta["total"] += 7
        case Kind.NO_ROWS:
            rows.clear()
        case Kind.DUPLICATE_ROW:  # the total counts it, so that nothing else is wrong
            meta["total"] += 1
            rows.append(rows[0])
        case Kind.MISSING_KEY:
            rows[0] = _without("date" if "date" in rows[0] else "id", rows[0])


def _without(key: str, row: Row) -> Row:
    return {name: value for name, value in row.items() if name != key}


def _error(code: int) -> list[Any]:
    key, value = ERRORS[code]
    return [{"message": [{"id": str(code), "key": key, "value": value}]}]


def _document(request: Request, document: list[Any], root: str = "error", item: str = "message") -> Response:
    if request.query_params.get("format", "xml").lower() == "json":
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return Response(text, media_type="application/json;charset=utf-8")
    return Response(_xml(document, root, item), media_type="text/xml;charset=utf-8")


def _xml(document: list[Any], root: str, item: str) -> bytes:
    attributes, rows = document if len(document) == 2 else ({}, document[0]["message"])
    top = ET.Element(f"wb:{root}", {"xmlns:wb": "http://www.worldbank.org"} | _texts(attributes))
    for row in rows or []:
        element = ET.SubElement(top, f"wb:{item}", {"id": row["id"]} if "id" in row else {})
        for name, value in _without("id", row).items():
            if isinstance(value, dict):
                ET.SubElement(element, f"wb:{name}", _texts(_without("value", value))).text = value["value"]
            else:
                ET.SubElement(element, f"wb:{name}").text = _text(value)
    return bytes(ET.tostring(top, "utf-8", xml_declaration=True))


def _texts(values: Row) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


@lru_cache
def _country_rows() -> tuple[Row, ...]:
    rows = [_aggregate_row(code) for code in market.AGGREGATES] + [_country_row(one) for one in market.countries()]
    return tuple(sorted(rows, key=lambda row: row["id"]))


def _aggregate_row(code: str) -> Row:
    iso2, name = market.AGGREGATES[code]
    nowhere = {"id": "NA", "iso2code": "NA", "value": "Aggregates"}
    empty = {"id": "", "iso2code": "", "value": ""}
    return {
        "id": code,
        "iso2Code": iso2,
        "name": name,
        "region": nowhere,
        "adminregion": empty,
        "incomeLevel": nowhere,
        "lendingType": empty | {"value": "Aggregates"},
        "capitalCity": "",
        "longitude": "",
        "latitude": "",
    }


def _country_row(country: market.Country) -> Row:
    developing = "" if country.income == "HIC" else market.REGIONS[country.region][0]
    lending_iso2, lending = LENDING[country.lending]
    return {
        "id": country.id,
        "iso2Code": country.iso2,
        "name": country.name,
        "region": _group(country.region),
        "adminregion": _group(developing),
        "incomeLevel": _group(country.income),
        "lendingType": {"id": country.lending, "iso2code": lending_iso2, "value": lending},
        "capitalCity": country.capital,
        "longitude": country.longitude,
        "latitude": country.latitude,
    }


def _group(code: str) -> Row:
    iso2, name = market.AGGREGATES.get(code, ("", ""))
    return {"id": code, "iso2code": iso2, "value": name + " " * (code in NAMES_WITH_A_SPACE)}


def _value_row(indicator: str, value: market.Observation) -> Row:
    series = market.INDICATORS[indicator]
    return {
        "indicator": {"id": indicator, "value": series.name},
        "country": {"id": value.iso2, "value": value.name},
        "countryiso3code": "" if value.id in INCOME_GROUPS else value.id,
        "date": str(value.year),
        "value": value.value,
        "unit": "",
        "obs_status": "",
        "decimal": int(series.decimals == 1),
    }
