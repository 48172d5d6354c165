"""Windows, cohorts and sessions over random people, gaps, re-runs and late rows, against a reference of a few lines.

The references count people day by day, as the definitions say it; the models never do.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby, product
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.unit.compiled_models import Models, Row, compile_models

LAUNCH = date(2026, 1, 5)
DAY = timedelta(days=1)
DAYS = 40
WINDOWS = (1, 7, 28, 365)
COUNTRIES = {"NA": "Sub-Saharan Africa", "DE": "Europe & Central Asia"}
EVENT_MODELS = ["int_event__deduplicated", "int_event__identified", "int_session__summarised"]
INCREMENTAL = {"fct_session": "session_date", "fct_user_activity_day": "activity_date", "fct_crash": "crash_date"}
REBUILT = [
    "dim_date",
    "mart_active_users_rolling",
    "mart_active_days_distribution",
    "mart_growth_accounting",
    "mart_retention_cohort",
    "mart_retention_driver",
]

ACTIVITY = pa.schema(
    [
        ("user_id", pa.string()),
        ("activity_date", pa.date32()),
        ("platform", pa.string()),
        ("country_code", pa.string()),
        ("app_version", pa.string()),
        ("is_active", pa.bool_()),
        ("playback_start_count", pa.int64()),
        ("crash_count", pa.int64()),
    ]
)
ACCOUNTS = pa.schema(
    [
        ("user_id", pa.string()),
        ("version_number", pa.int64()),
        ("is_current", pa.bool_()),
        ("created_date", pa.date32()),
        ("acquisition_platform", pa.string()),
        ("country_code", pa.string()),
    ]
)
GROUPS = pa.schema([("country_code", pa.string()), ("region_name", pa.string()), ("income_group", pa.string())])
TEXTS = [
    "event_id",
    "event_name",
    "device_id",
    "session_id",
    "user_id",
    "platform",
    "device_model",
    "os_version",
    "app_version",
    "country_code",
    "phase",
    "error_code",
    "start_type",
    "network_type",
    "sign_up_method",
    "title_id",
    "playback_id",
    "audio_language",
    "stop_reason",
    "experiment_id",
    "variant_id",
]
EVENTS = pa.schema(
    [(name, pa.string()) for name in TEXTS]
    + [(name, pa.timestamp("us")) for name in ("event_at", "occurred_at", "sent_at", "received_at")]
    + [(name, pa.date32()) for name in ("event_date", "received_date")]
    + [(name, pa.int64()) for name in ("schema_version", "list_position")]
    + [(name, pa.float64()) for name in ("startup_seconds", "position_seconds", "watched_seconds")]
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """All models that these tests run."""
    compiled = Models(compile_models([*EVENT_MODELS, *INCREMENTAL, *REBUILT], tmp_path_factory.mktemp("compiled")))
    compiled.connection.execute("set threads = 1")
    compiled.put(
        "dim_country", [{"country_code": code, "region_name": name} for code, name in COUNTRIES.items()], GROUPS
    )
    yield compiled
    compiled.connection.close()


def day(number: int) -> date:
    return LAUNCH + number * DAY


# --- who came on which day -----------------------------------------------------------------------------------------

VISITS = st.dictionaries(
    st.tuples(st.sampled_from(["ann", "bob", "eve", "joe"]), st.integers(0, DAYS)),  # the last one is not over yet
    st.tuples(st.sampled_from(["tv", "ios"]), st.sampled_from(["NA", "DE", "TW"]), st.integers(0, 9)),
    max_size=60,
)
GAPS = st.sets(st.integers(0, DAYS - 1), max_size=3)

Visits = dict[tuple[str, int], tuple[str, str, int]]


def show(models: Models, visits: Visits, gaps: set[int]) -> None:
    """Put the visits where the models look for them; one in ten was not active, some watched and some crashed."""
    models.set_dates(day(DAYS - 1), gap_dates=[day(gap) for gap in gaps])
    rows = [
        {
            "user_id": user,
            "activity_date": day(number),
            "platform": platform,
            "country_code": country,
            "app_version": "1.0.0",
            "is_active": kind > 0,
            "playback_start_count": kind // 7,
            "crash_count": kind % 2,
        }
        for (user, number), (platform, country, kind) in visits.items()
    ]
    models.put("fct_user_activity_day", rows, ACTIVITY)
    models.build("dim_date")


def is_full(number: int, window: int, gaps: set[int]) -> bool:
    return number + 1 >= window and not gaps & set(range(number - window + 1, number + 1))


@examples(max_examples=60, deadline=None)
@given(visits=VISITS, gaps=GAPS)
def test_rolling_actives_are_the_people_of_the_last_days_each_where_last_seen(
    models: Models, visits: Visits, gaps: set[int]
) -> None:
    show(models, visits, gaps)
    models.build("mart_active_users_rolling")
    active = {key: visit for key, visit in visits.items() if visit[2] > 0 and key[1] < DAYS}
    traits = {
        "total": lambda _: "all",
        "platform": lambda visit: visit[0],
        "country": lambda visit: visit[1],
        "region": lambda visit: COUNTRIES.get(visit[1], "unknown"),
        "income_group": lambda _: "unknown",
        "app_version": lambda _: "1.0.0",
    }
    expected = []
    for (kind, trait), number, window in product(traits.items(), range(DAYS), WINDOWS):
        within = sorted((n, user) for user, n in active if number - window < n <= number)
        last_seen = {user: trait(active[user, n]) for n, user in within}
        counts = Counter(last_seen.values())
        values = {trait(visit) for visit in active.values()} | ({"all"} if kind == "total" else set())
        expected += [
            (day(number), window, kind, value, None if number in gaps else counts[value], is_full(number, window, gaps))
            for value in values
        ]
    assert models.rows("from mart_active_users_rolling") == sorted(expected, key=lambda row: row[:4])


@examples(max_examples=60, deadline=None)
@given(visits=VISITS, gaps=GAPS)
def test_the_distribution_counts_people_by_their_active_days(models: Models, visits: Visits, gaps: set[int]) -> None:
    show(models, visits, gaps)
    models.build("mart_active_days_distribution")
    active = {key for key, visit in visits.items() if visit[2] > 0 and key[1] < DAYS}
    expected = []
    for number, window in product(range(DAYS), (7, 28)):
        counts = Counter(Counter(user for user, n in active if number - window < n <= number).values())
        expected += [
            (day(number), window, level, None if number in gaps else counts[level], is_full(number, window, gaps))
            for level in range(1, window + 1)
        ]
    assert models.rows("from mart_active_days_distribution") == expected


@examples(max_examples=60, deadline=None)
@given(visits=VISITS, gaps=GAPS)
def test_growth_is_accounted_for_person_by_person(models: Models, visits: Visits, gaps: set[int]) -> None:
    show(models, visits, gaps)
    models.put("dim_user", [], ACCOUNTS)
    models.build("mart_growth_accounting")
    active = {key for key, visit in visits.items() if visit[2] > 0 and key[1] < DAYS}
    expected = []
    for grain, length in {"day": 1, "week": 7}.items():
        people = [{user for user, n in active if n // length == period} for period in range(-(-DAYS // length))]
        known = [
            (period + 1) * length <= DAYS and not gaps & set(range(period * length, (period + 1) * length))
            for period in range(len(people))
        ]
        for period, now in enumerate(people):
            before, ever = (people[period - 1], set().union(*people[:period])) if period else (set(), set())
            counts: list[int | None] = [len(group) for group in (before, now - ever, now & before, now & ever - before)]
            counts.append(len(before - now))
            is_comparable = known[period] and (period == 0 or known[period - 1])
            expected.append(
                (
                    grain,
                    day(period * length),
                    len(now) if known[period] else None,
                    *(counts if is_comparable else [None] * 5),
                )
            )
    columns = "active_users, previous_active_users, new_users, retained_users, resurrected_users, churned_users"
    assert (
        models.rows(
            f"select period_grain, period_start_date, {columns} from mart_growth_accounting "
            "where segment_type = 'total'"
        )
        == expected
    )
    assert not models.rows(
        f"select period_grain, period_start_date, {columns} from mart_growth_accounting where segment_type = 'country' "
        f"except select period_grain, period_start_date, {columns} from mart_growth_accounting "
        "where segment_type = 'total'"
    ), "whoever has no account is in one segment, unknown"


# --- who came back -------------------------------------------------------------------------------------------------


@examples(max_examples=60, deadline=None)
@given(
    visits=VISITS,
    gaps=GAPS,
    day_0=st.fixed_dictionaries({user: st.integers(0, DAYS) for user in ("ann", "bob", "eve", "joe", "zoe")}),
)
def test_retention_is_who_came_back_on_that_day_or_in_that_week(
    models: Models, visits: Visits, gaps: set[int], day_0: dict[str, int]
) -> None:
    show(models, visits, gaps)
    accounts = [
        {"user_id": user, "version_number": version, "is_current": version == 2, "created_date": day(number),
         "acquisition_platform": "tv", "country_code": "NA"}
        for user, number in day_0.items()
        for version in (1, 2)
    ]  # fmt: skip
    models.put("dim_user", accounts, ACCOUNTS)
    models.build("mart_retention_cohort", "mart_retention_driver")
    active = {key for key, visit in visits.items() if visit[2] > 0 and key[1] < DAYS}

    expected = []
    for grain, length, periods in (("day", 1, 29), ("week", 7, 9)):
        for first, period in product(range(0, DAYS, length), range(periods)):
            cohort = [user for user, number in day_0.items() if first <= number < min(first + length, DAYS)]
            came = [
                user
                for user in cohort
                if any((user, day_0[user] + period * length + step) in active for step in range(length))
            ]
            seen = range(first + period * length, first + period * length + 2 * length - 1)
            has_cohort = not gaps & set(range(first, first + length))
            is_known = has_cohort and seen[-1] < DAYS and not gaps & set(seen)
            size, back = len(cohort) if has_cohort else None, len(came) if is_known else None
            rate = back / size if size and back is not None else None
            expected.append((grain, day(first), period, size, back, rate))
    assert models.rows("from mart_retention_cohort") == expected

    old_enough = {
        number: [user for user, n in day_0.items() if n + number < DAYS and not gaps & {n, n + number}]
        for number in range(1, 29)
    }
    assert models.rows(
        "select day_number, users, retained_users from mart_retention_driver where driver = 'acquisition_platform'"
    ) == [
        (number, len(asked), sum((user, day_0[user] + number) in active for user in asked))
        for number, asked in old_enough.items()
        if asked
    ]
    first_visits = [visits.get((user, day_0[user]), ("", "", 0))[2] for user in old_enough[1]]
    kinds = Counter("watched" if kind >= 7 else "crashed" if kind % 2 else "neither" for kind in first_visits)
    assert dict(
        models.rows(
            "select driver_value, users from mart_retention_driver where driver = 'first_day' and day_number = 1"
        )
    ) == dict(kinds)


def test_intervals_are_those_of_the_literature(models: Models) -> None:
    """Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I."""
    for (retained, users), bounds in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0000, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        people = range(users)
        visits: Visits = {(f"u{number}", 1): ("tv", "NA", 1) for number in people if number < retained}
        show(models, visits, set())
        accounts = [
            {"user_id": f"u{number}", "version_number": 1, "created_date": LAUNCH, "acquisition_platform": "tv"}
            for number in people
        ]
        models.put("dim_user", accounts, ACCOUNTS)
        models.build("mart_retention_driver")
        [found] = models.rows(
            "select round(retention_low, 4), round(retention_high, 4) from mart_retention_driver "
            "where driver = 'acquisition_platform' and day_number = 1"
        )
        assert found == bounds


# --- sessions, whatever lands when ---------------------------------------------------------------------------------

NAMES = ["app_start", "app_ready", "app_crash", "playback_start", "playback_heartbeat", "title_viewed"]
SESSION = st.fixed_dictionaries(
    {
        "start_hour": st.integers(0, 6 * 24),
        "device_id": st.sampled_from(["d1", "d2"]),
        "events": st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.sampled_from([0, 1, 60, 3_600]),  # seconds after the one before
                st.sampled_from([None, None, "ann", "bob"]),
                st.integers(0, 3),  # days until it is received
                st.sampled_from([None, None, 0, 1]),  # days until it is received again
            ),
            min_size=1,
            max_size=8,
        ),
    }
)


def planned(sessions: list[Row]) -> list[Row]:
    """All copies of all events of these sessions, as staging has them."""
    copies = []
    for number, session in enumerate(sessions):
        at = datetime.combine(LAUNCH, datetime.min.time()) + timedelta(hours=session["start_hour"])
        for place, (name, seconds, user, late, again) in enumerate(session["events"]):
            at += timedelta(seconds=seconds)
            event = {
                "event_id": f"e{number}-{place}",
                "event_name": name,
                "device_id": session["device_id"],
                "session_id": f"s{number}",
                "user_id": user,
                "platform": "tv",
                "app_version": f"1.{place}.0",
                "country_code": "NA",
                "phase": "startup" if name == "app_crash" else None,
                "watched_seconds": 0.1 * place if name == "playback_heartbeat" else None,
                "event_at": at,
                "event_date": at.date(),
            }
            for days in {late, late + again} if again is not None else {late}:
                received = at + timedelta(days=days)
                copies.append({**event, "received_at": received, "received_date": received.date()})
    return copies


def reference(copies: list[Row]) -> tuple[list[Any], list[Any]]:
    """Sessions and user-days of all that was received, one session after the other."""
    events = {copy["event_id"]: copy for copy in copies}.values()
    sessions: list[Any] = []
    user_days: dict[tuple[str, date], list[Row]] = {}
    in_order = sorted(events, key=lambda event: (event["session_id"], event["event_at"], event["event_id"]))
    for session_id, of_session in groupby(in_order, key=lambda event: event["session_id"]):
        listed = list(of_session)
        users = [next((later["user_id"] for later in listed[i:] if later["user_id"]), None) for i in range(len(listed))]
        names = [event["event_name"] for event in listed]
        first = listed[0]
        sessions.append(
            (
                session_id,
                first["event_date"],
                next((event["user_id"] for event in reversed(listed) if event["user_id"]), None),
                len(set(users) - {None}),
                len(listed),
                names.count("app_crash"),
                "app_crash" not in names if "app_start" in names else None,
                first["app_version"],
            )
        )
        for event, user in zip(listed, users, strict=True):
            if user:
                user_days.setdefault((user, event["event_date"]), []).append(event)
    return sessions, [
        (
            user,
            activity_date,
            any(event["event_name"] in ("app_ready", "playback_start") for event in of_day),
            sum(event["event_name"] == "app_crash" for event in of_day),
            round(sum(event["watched_seconds"] or 0 for event in of_day), 6),
            len(of_day),
        )
        for (user, activity_date), of_day in sorted(user_days.items())
    ]


@examples(max_examples=20, deadline=None)
@given(sessions=st.lists(SESSION, max_size=6), data=st.data())
def test_sessions_are_the_same_in_whatever_order_days_land_and_however_often(
    models: Models, sessions: list[Row], data: st.DataObject
) -> None:
    copies = planned(sessions)
    days = sorted({copy["received_date"] for copy in copies})
    order = [*data.draw(st.permutations(days)), *data.draw(st.lists(st.sampled_from(days)) if days else st.just([]))]
    for name in INCREMENTAL:
        models.connection.execute(f"drop table if exists {name}")
    landed: set[date] = set()
    for landing in [*order] or [LAUNCH]:
        landed.add(landing)
        touched = {copy["event_date"] for copy in copies if copy["received_date"] == landing}
        restated = {date + step * DAY for date in touched for step in (-1, 0, 1)}
        read = {date + step * DAY for date in restated for step in (-1, 0, 1)}
        models.set_dates(day(9), restated_dates=restated, read_dates=read)
        known = [copy for copy in copies if copy["received_date"] in landed and copy["event_date"] in read]
        models.put("stg_events__event", known, EVENTS)
        models.build(*EVENT_MODELS)
        for name, column in INCREMENTAL.items():
            models.restate(name, column)

    expected_sessions, expected_days = reference(copies)
    assert (
        models.rows(
            "select session_id, session_date, user_id, user_count, event_count, crash_count, is_crash_free, "
            "app_version from fct_session"
        )
        == expected_sessions
    )
    assert (
        models.rows(
            "select user_id, activity_date, has_used, crash_count, round(watched_seconds, 6), event_count "
            "from fct_user_activity_day"
        )
        == expected_days
    )
    assert models.rows("select count(*) from fct_crash") == [(sum(row[5] for row in expected_sessions),)]
