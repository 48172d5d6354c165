"""Lets a running stand-in of the third-party services fail: `python -m simulator.switch --help`.

Standard library only: it runs beside the server, within the memory of its container.
"""

import argparse
import json
import sys
from enum import StrEnum
from http.client import HTTPConnection
from urllib.parse import urlsplit


class Kind(StrEnum):
    """The ways to fail. The first five are ways of any server; the others are up to the API that answers."""

    STATUS = "status"  # 429, 500, 503, ...
    SLOW = "slow"  # the right answer, `seconds` late
    CUT_OFF = "cut_off"  # the connection is closed in mid-body
    TRUNCATED = "truncated"  # half of the body, in a response that is complete for HTTP
    NOT_JSON = "not_json"  # a page of HTML with status 200
    ERROR_IN_200 = "error_in_200"
    TOO_MANY_PAGES = "too_many_pages"
    TOO_FEW_PAGES = "too_few_pages"
    WRONG_TOTAL = "wrong_total"
    NO_ROWS = "no_rows"
    DUPLICATE_ROW = "duplicate_row"
    MISSING_KEY = "missing_key"
    UPDATED = "updated"  # no failure: there is newer data than before


def main() -> None:
    """Switch a fault on, or all off, and say which are on."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.switch",
        description="Let the stand-in of the third-party services fail. Without arguments: which faults are on.",
    )
    parser.add_argument("kind", nargs="?", choices=[*Kind, "off"], help="how to fail; off ends all faults")
    parser.add_argument("path", nargs="?", default="/", help="what fails: /v1 (rates), /v2 (World Bank), or longer")
    parser.add_argument("--times", type=int, help="so many requests; else until it is switched off")
    parser.add_argument("--status", type=int, help="of the kind status, 503 unless it is given")
    parser.add_argument("--seconds", type=float, help="that slow waits, or that a status asks the client to wait")
    parser.add_argument("--url", default="http://127.0.0.1:8090", help="where it runs (%(default)s)")
    given = vars(parser.parse_args())
    url, kind = given.pop("url"), given["kind"]
    fault = {name: value for name, value in given.items() if value is not None}
    method = "GET" if kind is None else "DELETE" if kind == "off" else "PUT"
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, "/_faults", json.dumps(fault), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read().decode()
    except OSError as error:
        sys.exit(f"No stand-in answers at {url}: {error}")
    if answer.status != 200:
        sys.exit(f"That is no fault: {said}")
    for one in json.loads(said) or ["No fault is on."]:
        print(one)  # noqa: T201


if __name__ == "__main__":
    main()
