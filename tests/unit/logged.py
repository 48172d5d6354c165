"""A plain reading of what a tiny product logged, line by line, by the definitions alone."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from contracts import load_event_contracts
from simulator.market_truth import market_truth
from simulator.product import COUNTRIES, Product

ACTIVITY = {"app_ready", "playback_start"}
OPENING = {"app_start", *ACTIVITY}
# A Wednesday, so that weeks do not begin with the launch; a seed whose clocks date events on both sides of it, and
# sessions on both sides of midnight.
TINY = Product(seed=901, users=600, launch_date=date(2026, 1, 7), story="full")
LAST = date(2026, 2, 18)
CONTRACTS = load_event_contracts().events

Event = dict[str, Any]
Session = list[Event]


def calendar() -> list[date]:
    """The days of the tiny product."""
    return [TINY.launch_date + timedelta(days=day) for day in range((LAST - TINY.launch_date).days + 1)]


def legible(folder: Path) -> Iterator[Event]:
    """Each line that is an event of a known contract with its required fields, in order of arrival."""
    for path in sorted(folder.rglob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]:
            try:
                event = json.loads(line)
                for name in ("occurred_at", "sent_at", "received_at"):
                    event[name] = datetime.fromisoformat(event[name]).replace(tzinfo=None)
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


def by_session(events: list[Event]) -> list[Session]:
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


def rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows of a frame, with None for whatever is not known."""
    return [tuple(None if pd.isna(value) else value for value in row) for row in frame.itertuples(index=False)]


def records(frame: pd.DataFrame, *keys: str) -> dict[Any, dict[str, Any]]:
    """The rows of a frame by their keys, each as its other columns."""
    names = [name for name in frame.columns if name not in keys]
    found = {
        tuple(row[: len(keys)]): dict(zip(names, row[len(keys) :], strict=True)) for row in rows(frame[[*keys, *names]])
    }
    assert len(found) == len(frame), "the keys are those of the grain"
    return found


def share(part: int, whole: int) -> float | None:
    """A quotient; None of nothing."""
    return part / whole if whole else None


def groups_of(country: str) -> dict[str, str]:
    """The region and the income group of a country."""
    facts = records(market_truth()["countries"], "country_code")[country,]
    return {"region": facts["region_name"], "income_group": facts["income_group"]}


GROUPS = {code: groups_of(code) for code in COUNTRIES}
