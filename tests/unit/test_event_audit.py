"""The raw contract of events: each of its checks seen red, and a window of good days seen green."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import duckdb
import pytest

from contracts import SQL_TYPES, EventContract, Field, load_event_contracts
from liftoff import intake
from quality import gate, soda
from quality.gate import GateError, Report
from quality.landed import show_landings
from quality.promised_events import compare_with_promises
from storage.lake import Lake, Outcome
from storage.settings import load_settings

FIRST = date(2026, 1, 5)
DAYS = [FIRST + timedelta(days) for days in range(4)]

ONE = "event_id like 'tv-23-2-%'"  # an event of each day
MANY_DAYS_LATER = "if(event_id like 'tv-1-%', received_at + interval 5 day, received_at)"

# 120 events a platform and day, 30 of them without user_id, 5 an hour.
CONTRACTS = load_event_contracts()
PROPERTIES = CONTRACTS.properties
GOOD_DAY = f"""
    select
        platform || '-' || hour || '-' || n || '-' || $day as event_id,
        'app_start' as event_name, 1::bigint as schema_version,
        received_at as occurred_at, received_at as sent_at, received_at,
        if(hour % 4 = 0, null, 'u' || n) as user_id, 'd' || n as device_id, 's' || hour as session_id, platform,
        null::varchar as device_model, null::varchar as os_version, '1.0.0' as app_version, 'NA' as country_code,
        'cold' as start_type,
        {", ".join(f"null::{SQL_TYPES[kind]} as {name}" for name, kind in PROPERTIES.items() if name != "start_type")},
        received_at as event_at
    from (
        select hour, n, platform, cast($day as date) + to_hours(hour) + to_minutes(n) as received_at
        from range(24) as hours(hour), range(5) as numbers(n),
            (values ('android'), ('ios'), ('tv'), ('web')) as p(platform)
    )
"""


def views(where: str) -> str:
    """Events that come as those of another name."""
    return f"""
        select * replace (
            if({where}, 'title_viewed', event_name) as event_name,
            if({where}, null, start_type) as start_type,
            if({where}, 't1', title_id) as title_id,
            if({where}, 1, list_position) as list_position
        )
        from good
    """


def stage(lake: Lake, day: date, change: str = "from good", **counts: Any) -> Outcome:
    """Leave a landing as ingestion does: a good day, changed by a SELECT that finds it as `good`; other counts."""
    pending = lake.begin()
    with duckdb.connect() as connection:
        connection.execute(f"create table good as {GOOD_DAY}", {"day": str(day)})
        changed = connection.sql(change)
        rows = len(changed)
        changed.write_parquet(str(pending / "data.parquet"))
    return Outcome(
        ingest_id=pending.name,
        source="events",
        table="events",
        day=day,
        status="staged",
        started_at=datetime(2026, 2, 1, tzinfo=UTC),
        **{"read": rows, "accepted": rows} | counts,
    )


def judge(lake: Lake, staged: Sequence[Outcome], baseline: Outcome | None = None) -> Report:
    accepted = {}
    if baseline:
        lake.accept(baseline)
        accepted[baseline.day] = lake.landing_dir("events", "events", baseline.day) / "data.parquet"
    return gate.audit_events(load_settings(), lake, staged, accepted)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "o'clock")


@pytest.fixture
def land(lake: Lake) -> Callable[..., Outcome]:
    return partial(stage, lake)


@pytest.fixture
def audit(lake: Lake) -> Callable[..., Report]:
    return partial(judge, lake)


def failures(report: Report) -> dict[str, set[date]]:
    """Days by check, of those that block."""
    return {result.name: set(result.days) for result in report.failures}


TV_LEFT_OUT = "2026-01-06: tv not compared: fewer than 100 events on this day or before it"


def noted(report: Report) -> list[str]:
    (note,) = report.notes
    return note.message.split("; ")


def failed_days(report: Report) -> set[date]:
    return set().union(*failures(report).values())


def test_a_window_of_good_days_passes_in_one_run(
    land: Callable[..., Outcome], audit: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Mock(side_effect=soda.verify)
    monkeypatch.setattr(soda, "verify", verify)
    report = audit([land(day) for day in DAYS])
    assert report.passed, report.text()
    verify.assert_called_once()
    assert report.subject == "Landing of events 2026-01-05 to 2026-01-08"


# What each check is there for, and what it says of it.
DAMAGES = [
    (
        "hours_present",
        "from good where hour(received_at) < 12",
        "12 of 24 hours have rows (hours 12 to 23 are missing)",
    ),
    (
        "hours_present",
        "from good where hour(received_at) not in (3, 9)",
        "22 of 24 hours have rows (hours 3, 9 are missing)",
    ),
    ("hours_present", "from good where hour(received_at) <> 0", "23 of 24 hours have rows (hour 0 is missing)"),
    ("days_present", "from good where false", "no events"),
    ("received_on_its_day", f"select * replace ({MANY_DAYS_LATER} as received_at) from good", "not so for"),
    ("received_on_its_day", f"select * replace (if({ONE}, null, received_at) as received_at) from good", "not so for"),
    (
        "event_id_unique",
        f"from good union all from good where {ONE}",
        "An event_id occurs once a day: not so for 1 row",
    ),
    *(
        ("required_fields", f"select * replace (if({ONE}, null, {field}) as {field}) from good", f"{field} is missing")
        for field in ("event_id", "event_at")
    ),
    ("contract_known", f"select * replace (if({ONE}, null, event_name) as event_name) from good", "no name 1: no"),
    ("contract_known", f"select * replace (if({ONE}, 9, schema_version) as schema_version) from good", "app_start 9:"),
    (
        "values_known",
        f"select * replace (if({ONE}, 'lukewarm', start_type) as start_type) from good",
        "app_start 1: start_type is not one of cold, warm in 1 event, for example lukewarm",
    ),
    (
        "values_in_range",
        f"""
            select * replace (
                if({ONE}, 'title_viewed', event_name) as event_name, if({ONE}, 't', title_id) as title_id,
                if({ONE}, -1, list_position) as list_position
            ) from good
        """,
        "title_viewed 1: list_position is not at least 0 in 1 event, for example -1",
    ),
    (
        "null_user_share",
        "select * replace (if(platform = 'tv', null, user_id) as user_id) from good",
        "events without user_id rose on tv (25% to 100%)",
    ),
    ("platform_present", "from good where platform not in ('tv', 'web')", "no events on tv (usually "),
]
DAMAGED_DAYS = [FIRST + timedelta(2 * number + 1) for number in range(len(DAMAGES))]


@pytest.fixture(scope="module")
def damaged_window(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The audit of a window in which each second day has one damage."""
    lake = Lake(tmp_path_factory.mktemp("damaged"))
    changes = {day: change for day, (_, change, _) in zip(DAMAGED_DAYS, DAMAGES, strict=True)}
    days = [FIRST + timedelta(number) for number in range(2 * len(DAMAGES))]
    return judge(lake, [stage(lake, day, changes.get(day, "from good")) for day in days])


@pytest.mark.parametrize("number", range(len(DAMAGES)), ids=[f"{check} {n}" for n, (check, _, _) in enumerate(DAMAGES)])
def test_a_bad_day_is_named_by_the_check_that_is_there_for_it(number: int, damaged_window: Report) -> None:
    check, _, message = DAMAGES[number]
    (result,) = (result for result in damaged_window.failures if result.name == check)
    assert DAMAGED_DAYS[number] in result.days
    assert message in result.message


def test_the_good_days_between_bad_ones_pass(damaged_window: Report) -> None:
    assert failed_days(damaged_window) == set(DAMAGED_DAYS)
    for check in failures(damaged_window):
        assert check in {check for check, _, _ in DAMAGES}


def event_of(contract: EventContract, event_id: str, **changes: str) -> str:
    """A query of one event that keeps its contract, but for `changes`."""
    fields = {field.name: f"'{field.example}'" for field in (*CONTRACTS.envelope, *contract.properties)}
    fields |= {"event_id": f"'{event_id}'", "event_name": f"'{contract.event_name}'"}
    fields |= {"schema_version": str(contract.version), "event_at": fields["received_at"], **changes}
    values = {name: f"{fields.get(name, 'null')}::{SQL_TYPES[kind]}" for name, kind in CONTRACTS.landed.items()}
    return "select " + ", ".join(f"{value} as {name}" for name, value in values.items())


def faults_of(field: Field) -> dict[str, str]:
    """What breaks each promise of a field, in SQL, by what the gate says of it."""
    faults = {
        f"{field.name} is missing": "null" if field.required else "",
        f"{field.name} is not one of {', '.join(field.enum)}": "'nonsense'" if field.enum else "",
        f"{field.name} is not at least {field.minimum or 0:g}": "" if field.minimum is None else f"{field.minimum - 1}",
        f"{field.name} is not at most {field.maximum or 0:g}": "" if field.maximum is None else f"{field.maximum + 1}",
    }
    return {said: value for said, value in faults.items() if value}


def test_each_promise_of_each_contract_is_seen_broken_by_the_event_that_breaks_it(
    land: Callable[..., Outcome], lake: Lake
) -> None:
    kept = [event_of(contract, f"{name} {version}") for (name, version), contract in CONTRACTS.events.items()]
    broken = {
        (f"{name} {version} {said}", said): event_of(contract, f"{name} {version} {said}", **{field.name: value})
        for (name, version), contract in CONTRACTS.events.items()
        for field in (*CONTRACTS.envelope, *contract.properties)
        if field.name not in {"event_id", "event_name", "schema_version"}  # they say which event it is
        for said, value in faults_of(field).items()
    }
    assert len(broken) > 100
    with duckdb.connect() as connection:
        show_landings(connection, lake, [land(FIRST, " union all ".join([*kept, *broken.values()]))])
        compare_with_promises(connection, CONTRACTS)
        found = connection.execute("select event_id, complaint from broken_promise").fetchall()
    assert sorted(found) == sorted(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("select * exclude (phase) from good", "phase is missing"),
        ("select * replace (7::integer as watched_seconds) from good", "watched_seconds is INTEGER, not DOUBLE"),
        ("select *, 1 as surprise from good", "surprise is not in the contract"),
    ],
)
def test_a_property_that_is_not_landed_as_promised_fails_all_days(
    change: str, message: str, land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    report = audit([land(day, change) for day in DAYS[:2]])
    assert failures(report) == {"schema": set(DAYS[:2])}
    assert message in report.text()


def test_a_check_that_names_no_day_fails_all_days(land: Callable[..., Outcome], audit: Callable[..., Report]) -> None:
    staged = [land(DAYS[0]), land(DAYS[1], "select * replace (1.5 as schema_version) from good")]
    assert failures(audit(staged))["schema"] == set(DAYS[:2])


def test_a_window_without_any_event_fails(land: Callable[..., Outcome], audit: Callable[..., Report]) -> None:
    report = audit([land(DAYS[0], "from good where false")])
    assert failures(report).keys() == {"row_count", "days_present", "hours_present"}
    assert failed_days(report) == {DAYS[0]}


# Shares of 120 events a platform: 30 without user_id are 25%.
@pytest.mark.parametrize(("without_user", "passes"), [(0, True), (30, True), (54, True), (55, False), (120, False)])
def test_the_share_without_user_may_rise_by_20_points_over_the_accepted_day(
    without_user: int,
    passes: bool,  # noqa: FBT001 - pytest passes it by name
    land: Callable[..., Outcome],
    audit: Callable[..., Report],
) -> None:
    change = f"""
        select * replace (if(row_number() over (partition by platform order by event_id) <= {without_user}, null, 'u')
        as user_id) from good
    """
    report = audit([land(DAYS[1], change)], baseline=land(DAYS[0]))
    assert failures(report) == ({} if passes else {"null_user_share": {DAYS[1]}})
    assert not report.warnings


def test_a_broken_build_that_lasts_does_not_pass_on_its_second_day(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    broken = "select * replace (null::varchar as user_id) from good"
    report = audit([land(day, broken if day in DAYS[1:3] else "from good") for day in DAYS])
    assert failures(report) == {"null_user_share": set(DAYS[1:3])}
    (result,) = report.failures
    assert "2026-01-06: events without user_id rose on android (25% to 100%)" in result.message
    assert "2026-01-07: events without user_id rose on android (62% to 100%)" in result.message


def test_a_platform_with_too_few_events_is_left_out_and_counted(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    few = "select * replace (null::varchar as user_id) from good where platform <> 'tv' or hour(received_at) < 19"
    change = few.replace("null::varchar", "if(platform = 'tv', null, user_id)")
    report = audit([land(DAYS[1], change)], baseline=land(DAYS[0]))
    assert report.passed, report.text()
    assert noted(report)[-1] == TV_LEFT_OUT


def test_a_first_day_ever_says_cold_start_and_that_is_no_warning(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    report = audit([land(day) for day in DAYS[:2]])
    (note,) = report.notes
    assert (note.name, note.outcome, note.days) == ("cold_start", "noted", tuple(DAYS[:2]))
    assert noted(report) == [
        "2026-01-05: not compared: no landed day before it",
        "2026-01-06: compared with 1 of 7 landed days before it",
    ]
    assert report.passed
    assert not report.warnings
    assert report.sentence() == "Landing of events 2026-01-05 to 2026-01-06 passed 20 checks."


def test_a_platform_that_is_new_is_left_out_and_counted(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    without_tv = land(DAYS[0], "from good where platform <> 'tv'")
    assert noted(audit([land(DAYS[1])], baseline=without_tv))[-1] == TV_LEFT_OUT


def test_a_platform_that_stays_away_does_not_pass_on_its_second_day(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    without_tv = "from good where platform <> 'tv'"
    report = audit([land(day, without_tv if day in DAYS[1:3] else "from good") for day in DAYS])
    assert failures(report) == {"platform_present": set(DAYS[1:3])}
    (result,) = report.failures
    assert result.message == ("2026-01-06: no events on tv (usually 120); 2026-01-07: no events on tv (usually 120)")


@pytest.mark.parametrize(("hours", "passes"), [(20, False), (19, True)])
def test_a_platform_of_fewer_than_100_events_may_stay_silent_for_a_day_and_is_counted(
    hours: int,
    passes: bool,  # noqa: FBT001 - pytest passes it by name
    land: Callable[..., Outcome],
    audit: Callable[..., Report],
) -> None:
    baseline = land(DAYS[0], f"from good where platform <> 'tv' or hour(received_at) < {hours}")
    report = audit([land(DAYS[1], "from good where platform <> 'tv'")], baseline)
    assert failures(report) == ({} if passes else {"platform_present": {DAYS[1]}})
    assert noted(report)[-1] == TV_LEFT_OUT


# A good day has 480 sessions, 5 an hour and platform, all of NA and version 1.0.0.
TREND_CHANGES = [
    ("from good where platform <> 'tv' or hour(received_at) not in (10, 11, 12)", {}),
    (
        "from good where platform <> 'tv' or hour(received_at) not in (10, 11, 12, 13)",
        {"silent_hours": "platform tv: no session began in hours 10 to 13, where usually 20 do"},
    ),
    (
        "select * replace (if(hour(received_at) = 3, 'BR', 'NA') as country_code) from good",
        {"silent_hours": "country NA: no session began in hour 3, where usually 20 do"},
    ),
    ("from good where platform <> 'tv' or hour(received_at) % 2 = 0", {}),
    (
        "from good where platform <> 'tv' or hour(received_at) % 3 = 0",
        {"sessions_usual": "platform tv: 40 sessions, usually 120"},
    ),
    (
        "from good union all select * replace ('x' || event_id as event_id, 'x' || device_id as device_id) from good",
        {"sessions_usual": "all: 960 sessions, usually 480"},
    ),
    ("select * replace (if(hour(received_at) < 18, '2.0.0', '1.0.0') as app_version) from good", {}),
    (
        "select * replace (if(hour(received_at) < 19, '2.0.0', '1.0.0') as app_version) from good",
        {"shares_steady": "version 2.0.0: 79% of sessions, usually 0%"},
    ),
    (
        "select * replace (if(event_id like '%-2-2026%', 'BR', 'NA') as country_code) from good",
        {"sessions_usual": "country BR: 96 sessions, usually 0"},
    ),
    (
        "select * replace (if(event_id like '%-2-2026%', 'tv', platform) as platform) from good",
        {},
    ),
    (
        "select * replace (if(minute(received_at) < 2, 'BR', 'NA') as country_code) from good",
        {
            "sessions_usual": "country BR: 192 sessions, usually 0",
            "shares_steady": "country BR: 40% of sessions, usually 0%",
        },
    ),
    (views("platform = 'tv' and hour(received_at) % 5 > 0"), {}),
    (
        views("platform = 'tv' and hour(received_at) % 6 > 0"),
        {"events_usual": "app_start of tv: 20 events, expected 120"},
    ),
]


@pytest.mark.parametrize(("change", "expected"), TREND_CHANGES)
def test_a_day_unlike_the_seven_before_it_warns_and_says_how(
    change: str, expected: dict[str, str], land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    days = [FIRST + timedelta(number) for number in range(8)]
    report = audit([land(day, change if day == days[7] else "from good") for day in days])
    assert report.passed, report.text()
    found = {warning.name: warning for warning in report.warnings}
    assert found.keys() == expected.keys()
    for name, said in expected.items():
        assert found[name].days == (days[7],)
        assert f"{days[7]}: {said}" in found[name].message


# Five sessions an hour and platform: 20 are missed in four hours.
@pytest.mark.parametrize(
    ("evening", "morning", "last", "expected"),
    [
        (22, 1, 8, {8: "no session began in hours 22 of the day before to 1, where usually 20 do"}),
        (22, 0, 8, {}),
        (20, 0, 8, {7: "no session began in hours 20 to 23, where usually 20 do", 8: "20 of the day before to 0"}),
        (20, 3, 8, {7: "hours 20 to 23", 8: "hours 20 of the day before to 3"}),
        (24, 3, 8, {8: "no session began in hours 0 to 3, where usually 20 do"}),
        (18, 2, 7, {7: "hours 18 of the day before to 2"}),  # whose evening had too few days before it to be judged
    ],
)
def test_a_stretch_of_silence_over_midnight_is_told_on_each_of_its_days(
    evening: int,
    morning: int,
    last: int,
    expected: dict[int, str],
    land: Callable[..., Outcome],
    audit: Callable[..., Report],
) -> None:
    days = [FIRST + timedelta(number) for number in range(last + 1)]
    silent = {
        days[-2]: f"from good where platform <> 'tv' or hour(received_at) < {evening}",
        days[-1]: f"from good where platform <> 'tv' or hour(received_at) > {morning}",
    }
    report = audit([land(day, silent.get(day, "from good")) for day in days])
    assert [warning.name for warning in report.warnings] == ["silent_hours"] * bool(expected)
    for warning in report.warnings:
        assert warning.days == tuple(days[number] for number in expected)
        assert all(f"{days[number]}: platform tv: " in warning.message for number in expected)
        assert all(said in warning.message for said in expected.values())


def test_an_evening_that_did_not_land_was_not_silent(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    days = [FIRST + timedelta(number) for number in range(9)]
    late = "from good where platform <> 'tv' or hour(received_at) > 2"
    report = audit([land(day, late if day == days[8] else "from good") for day in days if day != days[7]])
    assert report.warnings == []


def test_days_apart_are_each_compared_with_those_right_before_them(
    lake: Lake, land: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [FIRST + timedelta(number) for number in range(18)]
    for day in days:
        lake.accept(land(day))
    judge_all = Mock()
    monkeypatch.setattr(gate, "audit_events", judge_all)
    intake.audit_events(load_settings(), lake, [land(days[2]), land(days[15])])
    *_, baseline = judge_all.call_args.args
    assert list(baseline) == [*days[:2], *days[8:15]]
    assert all(path.exists() for path in baseline.values())


def test_a_day_with_fewer_than_seven_before_it_is_not_called_unusual(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    days = [FIRST + timedelta(number) for number in range(7)]
    half = "from good where hour(received_at) % 3 = 0 or platform = 'ios'"
    report = audit([land(day, half if day == days[6] else "from good") for day in days])
    assert not report.warnings
    (note,) = report.notes
    assert note.days == tuple(days)


def test_a_flood_of_refused_lines_does_not_pass_although_each_hour_has_an_event(
    land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    one_an_hour = "from good qualify row_number() over (partition by hour(received_at) order by event_id) = 1"
    report = audit([land(DAYS[0], one_an_hour, read=1_558, quarantined=1_533, duplicates=1)])
    assert failures(report) == {"quarantined_share": {DAYS[0]}}
    (result,) = report.failures
    assert result.message == "2026-01-05: 1,533 of 1,558 records were refused (98.4%, at most 5% may be)"


# A good day holds 480 events.
@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ({"read": 505, "quarantined": 25}, None),
        ({"read": 506, "quarantined": 26}, "26 of 506 records were refused (5.1%, at most 5% may be)"),
        ({"read": 490, "quarantined": 4, "duplicates": 6}, None),
        (
            {"read": 481},
            "481 records read, but 480 accepted (480 in the file), 0 quarantined and 0 repeated",
        ),
        (
            {"read": 481, "accepted": 481},
            "481 records read, but 481 accepted (480 in the file), 0 quarantined and 0 repeated",
        ),
        (
            {"read": 485, "accepted": 475, "quarantined": 5, "duplicates": 5},
            "485 records read, but 475 accepted (480 in the file), 5 quarantined and 5 repeated",
        ),
    ],
)
def test_each_line_that_was_read_is_accounted_for_and_few_are_refused(
    counts: dict[str, int], complaint: str | None, land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    failed = audit([land(DAYS[0], **counts)]).failures
    assert [result.message for result in failed] == ([f"2026-01-05: {complaint}"] if complaint else [])


def test_a_file_that_cannot_be_read_is_an_error_and_no_pass(
    lake: Lake, land: Callable[..., Outcome], audit: Callable[..., Report]
) -> None:
    landing = land(DAYS[0])
    (lake.pending(landing) / "data.parquet").write_bytes(b"not parquet")
    with pytest.raises(GateError, match="could not read what it is to judge"):
        audit([landing])


def test_sample_rows_hide_who_it_was(land: Callable[..., Outcome], audit: Callable[..., Report]) -> None:
    change = "select * replace (if(platform = 'tv', null, user_id) as user_id) from good"
    (result,) = audit([land(DAYS[1], change)], baseline=land(DAYS[0])).failures
    (row,) = result.samples
    assert row["dt"] == DAYS[1]
    shown: dict[str, Any] = {name: row[name] for name in ("event_id", "device_id")}
    assert not set(shown.values()) & {f"tv-0-0-{DAYS[1]}", "d0"}
    assert {len(value) for value in shown.values()} == {12}
