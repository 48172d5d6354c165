"""Frankfurter's exchange rates v1, by their public contract (live: `https://api.frankfurter.dev`).

`/v1/{date}`, `/v1/latest`, `/v1/{start}..{end}` and `/v1/currencies`:
- `base` (or `from`) and `symbols` (or `to`). Rates for the euro are those of the European Central Bank; others are
  computed from them and rounded by size. The base itself is not among the rates. Unknown symbols are left out.
- A day without rates answers with those of the last working day, at most 14 days back, and says that day's `date`.
  So a later day than today answers with the latest rates. A range holds working days alone, and starts with the last
  one *before* `start` when that has no rates.
- A day's rates are there from about 16:00 in Frankfurt; here from 15:00 UTC. Earlier, the day has no rates yet.
- Nothing found: 404 `{"message": "not found"}`. Unreadable: 422 `{"message": "invalid date"}`.
- The ETag is a hash of the last date in the answer alone: one tag for many URLs. `If-None-Match` is answered with 304.
- Left out: `amount`.
"""

import hashlib
import re
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from simulator import market
from simulator.faults import Fault
from simulator.switch import Kind

LOOK_BACK = timedelta(days=14)
PUBLISHED_AT = timedelta(hours=15)
DAY = r"\d{4}-\d{2}-\d{2}"

router = APIRouter(prefix="/v1")


@router.get("/currencies")
def list_currencies(request: Request) -> Response:
    """The names of the currencies."""
    names = {"EUR": "Euro"} | {code: quoted.name for code, quoted in market.CURRENCIES.items()}
    return _tagged(request, dict(sorted(names.items())), _newest(request))


@router.get("/{asked}")
def list_rates(request: Request, asked: str) -> Response:
    """The rates of a day, or of each working day of a range."""
    if asked in {"latest", "current"}:
        asked = _today(request).isoformat()
    if not (match := re.fullmatch(rf"({DAY})(?:(\.\.)({DAY})?)?", asked)):
        return _refusal(404, "not found")
    start, is_range, end = match.groups()
    try:
        first = date.fromisoformat(start)
        last = (date.fromisoformat(end) if end else _today(request)) if is_range else first
    except ValueError:
        return _refusal(422, "invalid date")
    query = request.query_params
    base = (query.get("from") or query.get("base") or "EUR").upper()
    symbols = (query.get("to") or query.get("symbols") or "").upper().split(",")
    if symbols == [base]:
        return _refusal(422, "bad currency pair")
    days = _days_of_range(request, first, last) if is_range else _days_up_to(request, first)
    rates = {day: found for day in days if (found := _rates(day, base, set(symbols) - {""}))}
    if not rates:
        return _refusal(404, "not found")
    if is_range:
        span = {"start_date": str(min(rates)), "end_date": str(max(rates))}
        body = {"amount": 1.0, "base": base, **span, "rates": {str(day): rates[day] for day in rates}}
    else:
        [(day, of_day)] = rates.items()
        body = {"amount": 1.0, "base": base, "date": str(day), "rates": of_day}
    return _tagged(request, body, max(rates))


def _today(request: Request) -> date:
    today: date = request.app.state.now().date()
    return today


def _newest(request: Request) -> date:
    return market.business_day((request.app.state.now() - PUBLISHED_AT).date())


def _days_up_to(request: Request, day: date) -> list[date]:
    if day < market.FIRST_DAY:
        return []
    published = market.business_day(min(day, _newest(request)))
    return [published] if day - published <= LOOK_BACK else []


def _days_of_range(request: Request, start: date, end: date) -> list[date]:
    if start > _today(request):
        return []
    newest = _newest(request)
    first = market.business_day(max(min(start, newest), market.FIRST_DAY))
    return market.business_days(first, min(end, newest))


def _rates(day: date, base: str, symbols: set[str]) -> dict[str, float]:
    euro = {"EUR": 1.0, **market.rates(day)}
    if base not in euro:
        return {}
    wanted = sorted((symbols & euro.keys() if symbols else euro.keys()) - {base})
    if base == "EUR":
        return {code: euro[code] for code in wanted}
    return {code: _rounded(_rounded(euro[code]) / _rounded(euro[base])) for code in wanted}


def _rounded(rate: float) -> float:
    """A cross rate has the fewer decimals the larger it is."""
    for above, decimals in ((5000, 0), (80, 2), (20, 3), (1, 4), (0.0001, 5)):
        if rate > above:
            return round(rate, decimals)
    return round(rate, 6)


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status, {"Cache-Control": "no-store"})


def _tagged(request: Request, body: dict[str, Any], last: date) -> Response:
    tag = f'"{hashlib.md5(str(last).encode(), usedforsecurity=False).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=86400"}
    if tag in re.split(r"\s*,\s*", request.headers.get("If-None-Match", "")):
        return Response(status_code=304, headers=headers)
    fault: Fault | None = request.scope["fault"]
    if fault and fault.kind == Kind.NO_ROWS:
        body = body | {"rates": {}}
    if fault and fault.kind == Kind.MISSING_KEY:
        body = {name: value for name, value in body.items() if name != "rates"}
    return JSONResponse(body, headers=headers, media_type="application/json; charset=utf-8")
