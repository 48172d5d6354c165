"""The truth with a row for each thing seen, against a plain reading of the log."""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pytest

from simulator.frames import Truth
from tests.unit.logged import ACTIVITY, OPENING, Event, Session, records

Grouped = dict[Any, list[Event]]


def app(event: Event) -> dict[str, Any]:
    """What an event was sent with."""
    return {name: event[name] for name in ("platform", "device_model", "os_version", "app_version", "country_code")}


def grouped(logged: list[Session], *names: str) -> Grouped:
    """The events of all sessions by some of their fields, in order within each session."""
    found: Grouped = defaultdict(list)
    for session in logged:
        for event in session:
            found[tuple(event[name] for name in names)].append(event)
    return found


def told(events: list[Event], name: str, kind: str | None = None) -> list[Any]:
    """The values of a property, of events of one kind, where they have it."""
    return [
        event["properties"][name]
        for event in events
        if kind in (None, event["event_name"]) and name in event["properties"]
    ]


def named(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["event_name"] == kind]


def seconds(later: Event, earlier: Event) -> float:
    passed: timedelta = later["at"] - earlier["at"]
    return passed / timedelta(seconds=1)


def test_sessions(truth: Truth, logged: list[Session]) -> None:
    found = records(truth["sessions"], "device_id", "session_id")
    assert len(found) == len(logged) > 1_000
    assert sum(row["time_to_ready_seconds"] is None for row in found.values()) > 10
    for session in logged:
        first, last = session[0], session[-1]
        starts, readies, crashes = (named(session, kind) for kind in ("app_start", "app_ready", "app_crash"))
        waited = seconds(readies[0], starts[0]) if starts and readies else -1
        assert found[first["device_id"], first["session_id"]] == {
            "user_id": next((event["user_id"] for event in reversed(session) if event["user_id"]), None),
            "user_count": len({event["user"] for event in session} - {None}),
            "session_date": first["day"],
            "started_at": first["at"],
            "ended_at": last["at"],
            "duration_seconds": seconds(last, first),
            "time_to_ready_seconds": waited if waited >= 0 else None,
            **app(first),
            "event_count": len(session),
            "crash_count": len(crashes),
            "has_app_start": bool(starts),
            "has_app_ready": bool(readies),
            "has_playback_start": bool(named(session, "playback_start")),
            "has_startup_crash": "startup" in told(crashes, "phase"),
            "is_crash_free": not crashes if starts else None,
        }


def test_playbacks(truth: Truth, logged: list[Session]) -> None:
    found = records(truth["playbacks"], "device_id", "session_id", "playback_id")
    expected = {}
    for (device, session, playback), events in grouped(
        [
            [
                {**event, "playback_id": event["properties"]["playback_id"]}
                for event in session
                if told([event], "playback_id")
            ]
            for session in logged
        ],
        *("device_id", "session_id", "playback_id"),
    ).items():
        starts, stops = named(events, "playback_start"), named(events, "playback_stop")
        heartbeats = named(events, "playback_heartbeat")
        first = events[0]
        expected[device, session, playback] = {
            "user_id": first["user"],
            "title_id": first["properties"]["title_id"],
            "playback_date": first["day"],
            "started_at": starts[0]["at"] if starts else None,
            "ended_at": events[-1]["at"],
            "watched_seconds": pytest.approx(sum(told(heartbeats, "watched_seconds")), rel=1e-9),
            "stop_position_seconds": next(iter(told(stops, "position_seconds")), None),
            "startup_seconds": next(iter(told(starts, "startup_seconds")), None),
            "heartbeat_count": len(heartbeats),
            "has_start": bool(starts),
            "has_stop": bool(stops),
            **{name: first[name] for name in ("platform", "app_version", "country_code")},
        }
    assert len(expected) > 1_000
    assert found == expected


def test_crashes(truth: Truth, logged: list[Session]) -> None:
    expected = {
        (event["event_id"],): {
            **{name: event[name] for name in ("device_id", "session_id")},
            "user_id": event["user"],
            "crash_date": event["day"],
            "crashed_at": event["at"],
            "phase": event["properties"]["phase"],
            "error_code": event["properties"].get("error_code"),
            **app(event),
        }
        for session in logged
        for event in named(session, "app_crash")
    }
    assert {row["phase"] for row in expected.values()} == {"startup", "browse", "playback"}
    assert records(truth["crashes"], "event_id") == expected


def test_devices(truth: Truth, logged: list[Session]) -> None:
    sessions = defaultdict(list)
    for session in sorted(logged, key=lambda session: session[0]["at"]):
        sessions[session[0]["device_id"]].append(session[0])
    expected = {
        (device,): {
            "form_factor": {"tv": "television", "web": "browser"}.get(
                firsts[-1]["platform"], "tablet" if "Pad" in firsts[-1]["device_model"] else "phone"
            ),
            **app(firsts[-1]),
            "first_app_version": firsts[0]["app_version"],
            "app_version_count": len({first["app_version"] for first in firsts}),
            "first_session_date": min(first["day"] for first in firsts),
            "last_session_date": max(first["day"] for first in firsts),
            "session_count": len(firsts),
        }
        for device, firsts in sessions.items()
    }
    assert len({row["form_factor"] for row in expected.values()}) == 4
    assert records(truth["devices"], "device_id") == expected


def test_user_days(truth: Truth, logged: list[Session]) -> None:
    expected = {}
    for (user, day), events in grouped(logged, "user", "day").items():
        kinds = {event["event_name"] for event in events}
        best = next(wanted for wanted in (ACTIVITY, OPENING, kinds) if kinds & wanted)
        last = max(
            (event for event in events if event["event_name"] in best),
            key=lambda event: (event["at"], event["event_id"]),
        )
        if user:
            expected[user, day] = {
                **{name: last[name] for name in ("platform", "country_code", "app_version")},
                "has_opened": bool(kinds & OPENING),
                "has_used": bool(kinds & ACTIVITY),
                "is_active": bool(kinds & ACTIVITY),
                "has_signed_up": "sign_up" in kinds,
                "crash_count": len(named(events, "app_crash")),
                "playback_start_count": len(named(events, "playback_start")),
                "watched_seconds": pytest.approx(sum(told(events, "watched_seconds", "playback_heartbeat")), rel=1e-9),
                "event_count": len(events),
            }
    assert {(row["has_opened"], row["has_used"]) for row in expected.values()} == {(1, 1), (1, 0), (0, 0)}
    assert records(truth["user_days"], "user_id", "activity_date") == expected


def test_users_on_devices(truth: Truth, logged: list[Session]) -> None:
    days = {key: len(events) for key, events in grouped(logged, "user", "device_id", "day").items() if key[0]}
    met: dict[tuple[str, str], list[date]] = defaultdict(list)
    for user, device, day in days:
        met[user, device].append(day)
    devices, users = ([pair[place] for pair in met] for place in (1, 0))
    assert max(map(devices.count, devices)) > 1, "two users share a device"
    assert records(truth["user_device_days"], "user_id", "device_id", "activity_date") == {
        key: {"event_count": count} for key, count in days.items()
    }
    assert records(truth["user_devices"], "user_id", "device_id") == {
        (user, device): {
            "first_activity_date": min(dates),
            "last_activity_date": max(dates),
            "active_day_count": len(dates),
            "device_weight": 1 / users.count(user),
            "user_weight": 1 / devices.count(device),
        }
        for (user, device), dates in met.items()
    }


def test_activity_hours(truth: Truth, logged: list[Session]) -> None:
    hours = grouped(
        [[{**event, "hour": event["at"].hour} for event in session] for session in logged],
        "day",
        "hour",
        "country_code",
    )
    assert records(truth["activity_hours"], "activity_date", "hour_of_day", "country_code") == {
        key: {
            "event_count": len(events),
            "active_devices": len({event["device_id"] for event in events}),
            "active_users": len({event["user"] for event in events if event["event_name"] in ACTIVITY} - {None}),
        }
        for key, events in hours.items()
    }
