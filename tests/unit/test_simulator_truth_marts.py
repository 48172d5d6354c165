"""The truth by day and segment, against a plain count over what the log tells of each user and session."""

import math
import statistics
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from simulator.frames import Truth
from simulator.market_truth import market_truth
from tests.unit.conftest import Account
from tests.unit.logged import GROUPS, LAST, TINY, calendar, records, share

Row = dict[str, Any]
Key = tuple[str, date]
UserDays = dict[Key, Row]
Segment = tuple[str, str]
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def user_days(truth: Truth) -> UserDays:
    """By user and day, of the days until the last; they equal those of the log, as another test says."""
    return {key: row for key, row in records(truth["user_days"], "user_id", "activity_date").items() if key[1] <= LAST}


@pytest.fixture(scope="module")
def active_days(user_days: UserDays) -> dict[str, list[date]]:
    """By user, in order."""
    found: dict[str, list[date]] = {}
    for (user, day), row in sorted(user_days.items()):
        if row["is_active"]:
            found.setdefault(user, []).append(day)
    return found


def segments(row: Row, *kinds: str) -> list[Segment]:
    """In which segments a row of a user-day or a session counts."""
    values = {
        "total": "all",
        "platform": row["platform"],
        "country": row["country_code"],
        **GROUPS[row["country_code"]],
        "app_version": row["app_version"],
        "release": f"{row['platform']} {row['app_version']}",
    }
    return [(kind, values[kind]) for kind in kinds]


def sign_up_segments(account: Account) -> list[Segment]:
    _, country, platform = account
    groups = GROUPS[country]
    return [("total", "all"), ("acquisition_platform", platform), ("country", country), *groups.items()]


OF_USER_DAYS = ("total", "platform", "country", "region", "income_group", "app_version")


def within(days: Iterable[date], last: date, window: int) -> list[date]:
    return [day for day in days if last - timedelta(days=window) < day <= last]


@pytest.fixture(scope="module")
def rolling(user_days: UserDays, active_days: dict[str, list[date]]) -> dict[Any, int]:
    """By day, window and segment, how many users were active; only where there are any."""
    counts: dict[Any, int] = {}
    for user, days in active_days.items():
        for day in calendar():
            for window in (1, 7, 28, 365):
                if recent := within(days, day, window):
                    for segment in segments(user_days[user, recent[-1]], *OF_USER_DAYS):
                        counts[day, window, *segment] = counts.get((day, window, *segment), 0) + 1
    return counts


def test_rolling_active_users(truth: Truth, rolling: dict[Any, int]) -> None:
    found = records(truth["active_users_rolling"], "activity_date", "window_days", "segment_type", "segment_value")
    seen = {(kind, value) for _, _, kind, value in rolling}
    assert found == {
        (day, window, *segment): {
            "active_users": rolling.get((day, window, *segment), 0),
            "is_full_window": (day - TINY.launch_date).days + 1 >= window,
        }
        for day in calendar()
        for window in (1, 7, 28, 365)
        for segment in seen
    }


def test_growth_accounting(truth: Truth, active_days: dict[str, list[date]], accounts: dict[str, Account]) -> None:
    mondays = sorted({day - timedelta(days=day.weekday()) for day in calendar()})
    expected: dict[Any, dict[str, int | None]] = {}
    for grain, starts, length in (("day", calendar(), 1), ("week", mondays, 7)):
        periods = {user: {start for start in starts for day in days if 0 <= (day - start).days < length}
                   for user, days in active_days.items()}  # fmt: skip
        for before, start in pairwise([starts[0] - timedelta(days=length), *starts]):
            for segment in {segment for user in active_days for segment in sign_up_segments(accounts[user])}:
                counts: dict[str, Any] = dict.fromkeys(STATES, 0)
                for user, of_user in periods.items():
                    if segment in sign_up_segments(accounts[user]):
                        is_active, was_active = start in of_user, before in of_user
                        counts["active_users"] += is_active
                        counts["previous_active_users"] += was_active
                        counts["churned_users"] += was_active and not is_active
                        counts["retained_users"] += was_active and is_active
                        counts["new_users"] += is_active and start == min(of_user)
                        counts["resurrected_users"] += is_active and not was_active and start > min(of_user)
                is_over = start + timedelta(days=length - 1) <= LAST
                expected[grain, start, *segment] = counts if is_over else dict.fromkeys(STATES)
    found = records(truth["growth_accounting"], "period_grain", "period_start_date", "segment_type", "segment_value")
    assert found == expected
    assert mondays[0] < TINY.launch_date
    assert found["week", mondays[-1], "total", "all"]["active_users"] is None, "the running week is not over"
    assert found["week", mondays[0], "total", "all"]["new_users"] > 0, "before the launch there is nobody"


STATES = (
    *("active_users", "previous_active_users", "new_users"),
    *("retained_users", "resurrected_users", "churned_users"),
)


def test_what_moved_the_users_who_can_use_the_app(truth: Truth, user_days: UserDays) -> None:
    kinds = ("total", "platform", "country", "app_version", "release")
    attempted: dict[Any, int] = {}
    successful: dict[Any, int] = {}
    for (_, day), row in user_days.items():
        for segment in segments(row, *kinds):
            attempted[day, *segment] = attempted.get((day, *segment), 0) + row["has_opened"]
            successful[day, *segment] = successful.get((day, *segment), 0) + row["has_used"]
    found = records(truth["metric_driver"], "activity_date", "segment_type", "segment_value")
    expected = {
        (day + later, *segment)
        for (day, *segment), users in attempted.items()
        for later in (timedelta(0), WEEK)
        if users and day + later <= LAST
    }
    assert found.keys() == expected | {(day, "total", "all") for day in calendar()}
    assert any(row["previous_attempted_users"] == 0 for row in found.values())
    for (day, kind, value), row in found.items():
        a1, s1 = attempted.get((day, kind, value), 0), successful.get((day, kind, value), 0)
        assert (row["attempted_users"], row["successful_users"], row["success_rate"]) == (a1, s1, share(s1, a1))
        if day < TINY.launch_date + WEEK:
            assert {row[name] for name in list(row)[3:]} == {None}
            continue
        a0, s0 = attempted.get((day - WEEK, kind, value), 0), successful.get((day - WEEK, kind, value), 0)
        everybody = day - WEEK, "total", "all"
        r0 = s0 / a0 if a0 else successful[everybody] / attempted[everybody]
        assert (row["previous_attempted_users"], row["previous_successful_users"]) == (a0, s0)
        assert row["previous_success_rate"] == pytest.approx(r0)
        assert row["change_users"] == s1 - s0
        assert row["volume_effect"] == pytest.approx((a1 - a0) * r0)
        assert row["rate_effect"] == pytest.approx(a1 * (s1 / a1 - r0) if a1 else 0)
        assert row["volume_effect"] + row["rate_effect"] == pytest.approx(s1 - s0)
        rivals = {other: of for (on, type_, other), of in found.items() if (on, type_) == (day, kind)}
        in_order = sorted(rivals, key=lambda other: (rivals[other]["rate_effect"], other))
        assert row["rate_effect_rank"] == in_order.index(value) + 1


def test_hours_against_the_same_hours_of_four_weeks_before(truth: Truth) -> None:
    hours = records(truth["activity_hours"], "activity_date", "hour_of_day", "country_code")
    found = records(truth["activity_hourly"], "activity_date", "hour_of_day", "country_code")
    countries = {country for _, _, country in hours}
    assert found.keys() == {(day, hour, country) for day in calendar() for hour in range(24) for country in countries}
    nothing = {"event_count": 0, "active_devices": 0, "active_users": 0}
    ranked: dict[date, list[Any]] = {day: [] for day in calendar()}
    for (day, hour, country), row in found.items():
        assert {name: row[name] for name in nothing} == hours.get((day, hour, country), nothing)
        before = [day - week * WEEK for week in range(1, 5) if day - week * WEEK >= TINY.launch_date]
        assert row["compared_days"] == len(before)
        devices = [hours.get((earlier, hour, country), nothing)["active_devices"] for earlier in before]
        expected = sum(devices) / 4 if len(before) == 4 else None
        score = (row["active_devices"] - expected) / math.sqrt(expected * 1.25) if expected else None
        assert row["expected_active_devices"] == expected
        assert row["deviation_score"] == pytest.approx(score)
        if score is not None:
            ranked[day].append((row["deviation_score"], hour, country, row["shortfall_rank"]))
        else:
            assert row["shortfall_rank"] is None
    for of_day in ranked.values():
        assert [rank for *_, rank in sorted(of_day)] == list(range(1, len(of_day) + 1))
    assert sum(map(len, ranked.values())) > 1_000


def test_engagement(truth: Truth, rolling: dict[Any, int], user_days: UserDays) -> None:
    watching: dict[Any, list[Row]] = {}
    for (_, day), row in user_days.items():
        for segment in segments(row, *OF_USER_DAYS):
            watching.setdefault((day, *segment), []).append(row)
    found = records(truth["engagement_daily"], "activity_date", "segment_type", "segment_value")
    assert found.keys() == {(day, kind, value) for day in calendar() for _, _, kind, value in rolling}
    for (day, *segment), row in found.items():
        of_day = watching.get((day, *segment), [])
        active, recent = (rolling.get((day, window, *segment), 0) for window in (1, 28))
        hours = sum(user["watched_seconds"] for user in of_day) / 3_600
        assert row == {
            "active_users": active,
            "active_users_28d": recent,
            "stickiness": pytest.approx(share(active, recent)),
            "is_full_window": (day - TINY.launch_date).days + 1 >= 28,
            "watching_users": sum(user["watched_seconds"] > 0 for user in of_day),
            "playback_count": sum(user["playback_start_count"] for user in of_day),
            "watch_hours": pytest.approx(hours),
            "watch_hours_per_active_user": pytest.approx(hours / active if active else None),
        }


def test_how_much_of_the_market_is_won(truth: Truth, rolling: dict[Any, int]) -> None:
    newest: dict[str, Row] = {}
    for (code, _), row in sorted(records(market_truth()["country_stats"], "country_code", "year").items()):
        if not row["is_aggregate"]:
            newest.setdefault(code, {}).update({name: value for name, value in row.items() if value is not None})
    markets: dict[Segment, dict[str, int]] = {}
    for code, row in newest.items():
        groups = ("region", row["region_name"]), ("income_group", row["income_group"])
        for segment in (("total", "all"), ("country", code), *groups):
            market = markets.setdefault(segment, {"population": 0, "mobile_subscriptions": 0})
            for name in market:
                market[name] += row[name]

    found = records(truth["market_penetration"], "activity_date", "segment_type", "segment_value")
    seen = {(kind, value) for _, _, kind, value in rolling}
    assert found.keys() == {(day, *segment) for day in calendar() for segment in seen & markets.keys()}
    for (day, *segment), row in found.items():
        users, market = rolling.get((day, 28, *segment), 0), markets[segment[0], segment[1]]
        assert {name: row[name] for name in ("active_users", *market)} == {"active_users": users, **market}
        assert row["is_full_window"] == ((day - TINY.launch_date).days + 1 >= 28)
        rivals = {value: of for (on, kind, value), of in found.items() if (on, kind) == (day, segment[0])}
        before = found.get((day - WEEK, *segment))
        for name, size in (("people", "population"), ("mobile_subscriptions", "mobile_subscriptions")):
            rate = f"users_per_million_{name}"
            assert row[rate] == pytest.approx(users / market[size] * 1e6)
            in_order = sorted(rivals, key=lambda value: (-rivals[value][rate], value))
            assert row[f"{rate}_rank"] == in_order.index(segment[1]) + 1
            for measure in (rate, f"{rate}_rank"):
                assert row[f"{measure}_change"] == (row[measure] - before[measure] if before else None)


def test_active_days(truth: Truth, active_days: dict[str, list[date]]) -> None:
    counts = {(day, window): [len(within(days, day, window)) for days in active_days.values()]
              for day in calendar() for window in (7, 28)}  # fmt: skip
    assert records(truth["active_days_distribution"], "activity_date", "window_days", "active_days") == {
        (day, window, number): {
            "user_count": of_users.count(number),
            "is_full_window": (day - TINY.launch_date).days + 1 >= window,
        }
        for (day, window), of_users in counts.items()
        for number in range(1, window + 1)
    }


def test_stability(truth: Truth) -> None:
    started: dict[Any, list[Row]] = {(day, "total", "all"): [] for day in calendar()}
    for row in records(truth["sessions"], "device_id", "session_id").values():
        if row["has_app_start"] and row["session_date"] <= LAST:
            for segment in segments(row, "total", "platform", "app_version", "release"):
                started.setdefault((row["session_date"], *segment), []).append(row)
    found = records(truth["app_stability_daily"], "session_date", "segment_type", "segment_value")
    assert found.keys() == started.keys()
    for key, sessions in started.items():
        waited = [row["time_to_ready_seconds"] for row in sessions if row["time_to_ready_seconds"] is not None]
        free, at_once = (sum(row[name] for row in sessions) for name in ("is_crash_free", "has_startup_crash"))
        assert found[key] == {
            "started_sessions": len(sessions),
            "crash_free_sessions": free,
            "crash_free_rate": pytest.approx(share(free, len(sessions))),
            "startup_crash_sessions": at_once,
            "startup_crash_rate": pytest.approx(share(at_once, len(sessions))),
            "ready_sessions": len(waited),
            "time_to_ready_p50_seconds": pytest.approx(statistics.median(waited) if waited else None),
            "time_to_ready_p95_seconds": pytest.approx(percentile(waited, 0.95)),
        }


def percentile(values: list[float], place: float) -> float | None:
    """Interpolated between the two values around that place."""
    if not values:
        return None
    rest, whole = math.modf(place * (len(values) - 1))
    ordered = sorted(values)
    return ordered[int(whole)] + rest * (ordered[min(int(whole) + 1, len(values) - 1)] - ordered[int(whole)])


def test_what_comes_with_retention(
    truth: Truth, accounts: dict[str, Account], user_days: UserDays, active: set[tuple[str, date]]
) -> None:
    drivers = {user: drivers_of(account, user_days.get((user, account[0]))) for user, account in accounts.items()}
    found = records(truth["retention_driver"], "driver", "driver_value", "day_number")
    expected: dict[Any, list[bool]] = {}
    for user, (day_0, *_) in accounts.items():
        for number in range(1, 29):
            then = day_0 + timedelta(days=number)
            if then <= LAST:
                for driver in [*drivers[user], ("everybody", "all")]:
                    expected.setdefault((*driver, number), []).append((user, then) in active)
    assert {key for key in expected if key[0] != "everybody"} == found.keys()
    assert {value for driver, value, _ in found if driver == "first_day"} >= {"watched", "crashed"}
    for (driver, value, number), row in found.items():
        returned, everybody = expected[driver, value, number], expected["everybody", "all", number]
        rate, overall = sum(returned) / len(returned), sum(everybody) / len(everybody)
        low, high = wilson(sum(returned), len(returned))
        assert row == {
            "users": len(returned),
            "retained_users": sum(returned),
            "retention_rate": pytest.approx(rate),
            "retention_low": pytest.approx(low, abs=1e-12),
            "retention_high": pytest.approx(high),
            "overall_retention_rate": pytest.approx(overall),
            "is_beyond_noise": not low <= overall <= high,
        }
    assert {row["is_beyond_noise"] for row in found.values()} == {True, False}


def drivers_of(account: Account, first_day: Row | None) -> list[Segment]:
    what = "neither"
    if first_day and first_day["playback_start_count"]:
        what = "watched"
    elif first_day and first_day["crash_count"]:
        what = "crashed"
    by_sign_up = [segment for segment in sign_up_segments(account) if segment[0] not in ("total", "country")]
    return [*by_sign_up, ("first_day", what)]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """By its usual formula: a centre, and as far to both sides."""
    z, rate = 1.959963984540054, successes / trials
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials**2))
    return centre - reach, centre + reach
