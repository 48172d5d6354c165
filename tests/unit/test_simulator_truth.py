"""The planted truth against a plain reading of what was written, line by line, by the definitions alone."""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pandas as pd
import pytest

from contracts import load_event_contracts
from simulator.api_server import serving
from simulator.business import sign_up_moments
from simulator.logs import write_day
from simulator.market import INDICATORS
from simulator.market_truth import market_truth
from simulator.product import DAY, Product
from simulator.truth import Truth, happened, knowable, write_truth
from simulator.warehouse import write_days

FRAMES = {"active_users_daily", "sessions_daily", "retention_daily", "retention_weekly", "delivery_daily"}
OTHERS = {
    *("accounts_daily", "subscriptions_daily", "payments_daily", "revenue_daily"),
    *("countries", "country_indicators"),
}
ACTIVITY = {"app_ready", "playback_start"}
OPENING = {"app_start", *ACTIVITY}
# A Wednesday, so that weeks do not begin with the launch; a seed whose clocks date events on both sides of it, and
# sessions on both sides of midnight.
TINY = Product(seed=901, users=600, launch_date=date(2026, 1, 7), story="full")
LAST = date(2026, 2, 18)
CONTRACTS = load_event_contracts().events

Event = dict[str, Any]


def legible(folder: Path) -> Iterator[Event]:
    """Each line that is an event of a known contract with its required fields, in order of arrival."""
    for path in sorted(folder.rglob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]:
            try:
                event = json.loads(line)
                for name in ("occurred_at", "sent_at", "received_at"):
                    event[name] = datetime.fromisoformat(event[name])
                if (event["event_name"], event["schema_version"]) in CONTRACTS and event["device_id"]:
                    yield event
            except (ValueError, KeyError):
                continue


def accepted(folder: Path) -> list[Event]:
    """One delivery per event: the first that is accepted, with its event time."""
    events: dict[str, Event] = {}
    for event in legible(folder):
        lag = event["received_at"] - event["sent_at"]
        event["at"] = event["occurred_at"] + (lag if abs(lag) > timedelta(minutes=5) else timedelta(0))
        event["day"] = event["at"].date()
        if (
            event["received_at"].date() - event["day"] <= timedelta(days=3)
            and event["at"] <= event["received_at"] + timedelta(hours=1)
            and event["day"] >= TINY.launch_date
        ):
            events.setdefault(event["event_id"], event)
    return list(events.values())


def by_session(events: list[Event]) -> list[list[Event]]:
    """The events of each session in order, each attributed to the next user that is named."""
    sessions = defaultdict(list)
    for event in events:
        sessions[event["device_id"], event["session_id"]].append(event)
    for session in sessions.values():
        session.sort(key=lambda event: (event["at"], event["event_id"]))
        user = None
        for event in reversed(session):
            user = event["user"] = event["user_id"] or user
    return list(sessions.values())


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[list[Event]]:
    folder = tmp_path_factory.mktemp("events")
    for day in calendar():
        write_day(TINY, day, folder)
    return by_session(accepted(folder))


@pytest.fixture(scope="module")
def truth() -> Truth:
    return knowable(TINY, LAST)


@pytest.fixture(scope="module")
def active(sessions: list[list[Event]]) -> set[tuple[str, date]]:
    return {(e["user"], e["day"]) for events in sessions for e in events if e["user"] and e["event_name"] in ACTIVITY}


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, date]:
    path = tmp_path_factory.mktemp("upstream") / "warehouse.duckdb"
    write_days(TINY, calendar(), path)
    with duckdb.connect(str(path), read_only=True) as warehouse:
        made = "select user_id, created_at::date from business.account_changes where change_type = 'created'"
        return dict(warehouse.execute(made).fetchall())


def calendar() -> list[date]:
    return [TINY.launch_date + timedelta(days=day) for day in range((LAST - TINY.launch_date).days + 1)]


def rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(None if value is pd.NA else value for value in row) for row in frame.itertuples(index=False)]


def test_active_users_are_those_of_the_logs(truth: Truth, sessions: list[list[Event]]) -> None:
    users: dict[tuple[str, date], set[str]] = defaultdict(set)
    for events in sessions:
        names = {event["event_name"] for event in events}
        if names & ACTIVITY and not any(event["user"] for event in events):
            users["anonymous", events[0]["day"]].add(events[0]["device_id"])
        for event in events:
            if event["user"] and event["event_name"] in OPENING:
                users["opened", event["day"]].add(event["user"])
            if event["user"] and event["event_name"] in ACTIVITY:
                users["active", event["day"]].add(event["user"])
    assert rows(truth["active_users_daily"]) == [
        (day, *(len(users[kind, day]) for kind in ("active", "opened", "anonymous"))) for day in calendar()
    ]


def test_sessions_are_those_of_the_logs(truth: Truth, sessions: list[list[Event]]) -> None:
    counts = {day: [0, 0, 0] for day in [*calendar(), LAST + timedelta(days=1)]}
    for events in sessions:
        names = {event["event_name"] for event in events}
        is_started = "app_start" in names
        for place, counts_it in enumerate([True, is_started, is_started and "app_crash" not in names]):
            counts[events[0]["day"]][place] += counts_it
    assert rows(truth["sessions_daily"]) == [(day, *counts[day]) for day in calendar()]


def test_daily_retention_is_that_of_the_accounts_in_the_logs(
    truth: Truth, active: set[tuple[str, date]], cohorts: dict[str, date]
) -> None:
    expected = []
    for day in calendar():
        users = [user for user, cohort in cohorts.items() if cohort == day]
        for number in range(29):
            then = day + timedelta(days=number)
            retained = sum((user, then) in active for user in users) if then <= LAST else None
            expected.append((day, number, len(users), retained))
    assert rows(truth["retention_daily"]) == expected


def test_weekly_retention_is_that_of_the_accounts_in_the_logs(
    truth: Truth, active: set[tuple[str, date]], cohorts: dict[str, date]
) -> None:
    expected = []
    for monday in sorted({day - timedelta(days=day.weekday()) for day in calendar()}):
        users = [user for user, cohort in cohorts.items() if timedelta(0) <= cohort - monday < timedelta(days=7)]
        for week in range(9):
            retained = sum(
                any((user, cohorts[user] + timedelta(days=7 * week + day)) in active for day in range(7))
                for user in users
            )
            is_mature = monday + timedelta(days=6 + 7 * week + 6) <= LAST
            expected.append((monday, week, len(users), retained if is_mature else None))
    assert rows(truth["retention_weekly"]) == expected


@pytest.mark.parametrize("see", [happened, knowable])
def test_a_truth_has_a_row_for_every_day_and_cell(see: Callable[[Product, date], Truth]) -> None:
    truth = see(TINY, TINY.launch_date)
    assert truth.keys() == FRAMES
    assert {name: len(frame) for name, frame in truth.items()} == {
        "active_users_daily": 1, "sessions_daily": 1, "retention_daily": 29, "retention_weekly": 9, "delivery_daily": 1,
    }  # fmt: skip


def test_what_is_knowable_differs_from_what_happened_by_what_went_missing(truth: Truth) -> None:
    real = happened(TINY, LAST)
    delivery = real["delivery_daily"].drop(columns="event_date").sum()
    assert (delivery > 0).all()
    assert delivery.drop("happened_count").sum() < 0.01 * delivery["happened_count"]
    for frame, column in (("active_users_daily", "active_users"), ("sessions_daily", "started_session_count")):
        assert 0.97 * real[frame][column].sum() < truth[frame][column].sum() < real[frame][column].sum()


def test_what_is_knowable_of_a_day_grows_until_three_days_later() -> None:
    views = [knowable(TINY, TINY.date_of(20 + later))["sessions_daily"].iloc[20].to_list() for later in range(6)]
    assert views[0][1] < views[3][1]
    assert views[3] == views[4] == views[5]


@pytest.mark.parametrize("see", [happened, knowable])
def test_cohorts_are_known_without_loss_but_an_account_made_after_midnight_is_in_none_yet(
    see: Callable[[Product, date], Truth],
) -> None:
    product, last = replace(TINY, seed=43), 2  # on that evening someone starts who signs up after midnight
    made = [moment // DAY for day in range(last + 1) for moment in sign_up_moments(product, day)]
    truth = see(product, product.date_of(last))
    sizes = [
        int(truth[name].drop_duplicates(truth[name].columns[0])["cohort_users"].sum())
        for name in ("retention_daily", "retention_weekly")
    ]
    assert sizes == [sum(day <= last for day in made)] * 2
    assert sizes[0] < len(made)


def test_the_truth_about_the_world_is_what_the_stand_in_serves() -> None:
    with serving() as url, httpx.Client(base_url=url, params={"format": "json", "per_page": 32_000}) as client:
        listed = client.get("/v2/country").json()[1]
        values = [row for name in INDICATORS for row in client.get(f"/v2/country/all/indicator/{name}").json()[1]]
    truth = market_truth()
    assert set(rows(truth["country_indicators"])) == {
        (row["country"]["id"], row["indicator"]["id"], int(row["date"]), row["value"])
        for row in values
        if row["value"] is not None
    }
    countries = truth["countries"].astype(object).where(truth["countries"].notna(), None)
    assert set(rows(countries)) == {
        (
            *(row["iso2Code"], row["id"], row["name"], is_aggregate),
            *(
                None if is_aggregate else row[group]["value"].strip()
                for group in ("region", "incomeLevel", "lendingType")
            ),
            row["capitalCity"] or None,
            *(float(row[place]) if row[place] else None for place in ("longitude", "latitude")),
        )
        for row in listed
        for is_aggregate in [row["region"]["value"] == "Aggregates"]
    }


def test_a_written_truth_reads_back_with_dates(tmp_path: Path) -> None:
    write_truth(TINY, TINY.date_of(9), tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")} == {
        f"{side}/{name}.parquet" for side in ("happened", "knowable") for name in FRAMES | OTHERS
    }
    for name, frame in knowable(TINY, TINY.date_of(9)).items():
        written = pd.read_parquet(tmp_path / "knowable" / f"{name}.parquet", dtype_backend="pyarrow")
        assert str(written.dtypes.iloc[0]) == "date32[day][pyarrow]"
        assert rows(written) == rows(frame)
