"""What a tiny product wrote, made once for all tests of its truth."""

from datetime import date

import duckdb
import pytest

from simulator.frames import Truth
from simulator.logs import write_day
from simulator.truth import knowable
from simulator.warehouse import write_days
from tests.unit.logged import ACTIVITY, LAST, TINY, Session, accepted, by_session, calendar

Account = tuple[date, str, str]
"""Day 0, and country and platform at sign-up."""


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory) -> list[Session]:
    """All sessions of the tiny product as its log has them."""
    folder = tmp_path_factory.mktemp("events")
    for day in calendar():
        write_day(TINY, day, folder)
    return by_session(accepted(folder))


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Account]:
    """All accounts of the tiny product as its business systems have them, by user."""
    path = tmp_path_factory.mktemp("upstream") / "warehouse.duckdb"
    write_days(TINY, calendar(), path)
    with duckdb.connect(str(path), read_only=True) as warehouse:
        made = """
            select user_id, created_at::date, country_code, acquisition_platform
            from business.account_changes where change_type = 'created'
        """
        return {user: account for user, *account in warehouse.execute(made).fetchall()}


@pytest.fixture(scope="session")
def truth() -> Truth:
    """What can be known of the tiny product."""
    return knowable(TINY, LAST)


@pytest.fixture(scope="session")
def active(logged: list[Session]) -> set[tuple[str, date]]:
    """User and day, of all activity."""
    return {(e["user"], e["day"]) for events in logged for e in events if e["user"] and e["event_name"] in ACTIVITY}
