"""Refused records that are tried again: what joins its day, what stays, and what nobody touches."""

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import CONTRACTS_DIR, load_event_contracts
from ingestion.events import stage_events
from ingestion.landing import SourceError
from ingestion.replay import Replay, Tried, stage_replay
from liftoff import intake, looks, replay
from liftoff.plan import OtherRules, Window
from storage import meta
from storage.days import now
from storage.engine import connect
from storage.errors import Blocked, WrongUsage
from storage.files import replace
from storage.lake import Lake, LandingDamaged, LandingInterrupted, Outcome
from storage.settings import load_settings
from tests.unit.event_lines import DAY, event, line, write_day
from tests.unit.upstream_tables import CONTRACTS, duckdb_warehouse, row

Mend = Callable[..., None]
NEXT_DAY = DAY + timedelta(1)
APP_READY_3 = """
event: app_ready
version: 3
owner: client-platform
description: The first screen can be used.
sent_by: every client, since 1.4.0
required: [theme]
properties:
  theme:
    type: string
    enum: [dark, light]
    description: The colours at that moment.
"""


@pytest.fixture
def mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mend:
    """Changes contract files: each by name, its whole text or a pair of what it says and what it is to say."""
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_DIR, folder)
    for reader in (
        "ingestion.events._contracts",
        "quality.event_window.load_event_contracts",
        "quality.landed.load_event_contracts",
    ):
        monkeypatch.setattr(reader, lambda: load_event_contracts(folder))

    def change(**files: str | tuple[str, str]) -> None:
        for name, text in files.items():
            path = folder / "events" / f"{name.replace('_v', '.v')}.yml"
            if isinstance(text, str):
                path.write_text(text)
            else:
                before = path.read_text()
                assert text[0] in before
                path.write_text(before.replace(*text))

    return change


def lake() -> Lake:
    return Lake(load_settings().lake_dir)


def land(*lines: bytes, day: date = DAY) -> Outcome:
    """Land lines as the logs of a day, without an audit."""
    write_day({"events-10.jsonl.gz": lines}, day)
    return land_source(day)


def land_source(day: date = DAY) -> Outcome:
    staged = stage_events(load_settings(), lake(), day)
    return lake().accept(dataclasses.replace(staged, rules=load_settings().event_rules))


def replay_day(landed: Outcome, reason: str | None = None) -> Replay:
    """Try again what a landing refused, and accept the result without an audit."""
    tried = stage_replay(load_settings(), lake(), landed, reason)
    if tried.outcome.status == "staged":
        assert lake().accept(tried.outcome).status == "accepted"
    else:
        assert lake().amend(tried.outcome, tried.pending)
        shutil.rmtree(tried.pending)
    return tried


def landed(day: date = DAY) -> Outcome:
    [outcome] = [one for one in lake().accepted("events", "events") if one.day == day]
    return outcome


def quarantined(day: date = DAY) -> list[dict[str, Any]]:
    path = lake().quarantine_of(landed(day))
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist() if path.exists() else []
    return rows


def what_landed(outcome: Outcome) -> dict[str, Any]:
    """All of an outcome that follows from the source, the contracts and the rules."""
    names = ("read", "accepted", "quarantined", "duplicates", "first_event_date", "last_event_date", "content_hash")
    return {name: getattr(outcome, name) for name in (*names, "contract_digest", "rules")}


def what_was_refused() -> list[tuple[Any, ...]]:
    names = ("file", "line", "reason", "detail", "event_id", "event_date", "contract_digest", "raw")
    return [tuple(record[name] for name in names) for record in quarantined()]


def files_of_the_lake() -> dict[Path, tuple[bytes, int]]:
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in load_settings().lake_dir.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def late(days: int, **changes: Any) -> bytes:
    """A line that arrives some days after its event day."""
    at = datetime(DAY.year, DAY.month, DAY.day, 9, tzinfo=UTC) - timedelta(days)
    return line(occurred_at=at.isoformat(), sent_at=f"{DAY}T10:00:01Z", **changes)


def app_ready_3(theme: str = "dark", **changes: Any) -> bytes:
    sent = event("app_ready", 1, **changes) | {"schema_version": 3, "properties": {"theme": theme}}
    return json.dumps(sent).encode()


def assert_as_if_read_anew(before: Outcome) -> None:
    """A load of the same day from its source gives what the replay gave, row by row."""
    replayed, refused = landed(), what_was_refused()
    assert replayed.replay_of == before.ingest_id
    fresh = land_source()
    assert what_landed(fresh) == what_landed(replayed)
    assert what_was_refused() == refused


def test_a_version_that_got_a_contract_joins_its_day_with_its_new_property(mend: Mend) -> None:
    before = land(line(), app_ready_3(), b"no JSON", app_ready_3(theme="loud"), line(platform="fridge"))
    mend(app_ready_v3=APP_READY_3)
    tried = replay_day(before)
    assert tried.by_reason == {
        "not_in_enum": Tried(1, 0),
        "not_json": Tried(1, 0),
        "unknown_version": Tried(2, 1),
    }
    data = lake().landing_dir("events", "events", DAY) / "data.parquet"
    themes = duckdb.sql(f"select event_name, theme from '{data}' order by all").fetchall()
    assert themes == [("app_ready", "dark"), ("title_viewed", None)]
    assert [record["reason"] for record in quarantined()] == ["not_json", "not_in_enum", "not_in_enum"]
    assert_as_if_read_anew(before)


@pytest.mark.parametrize(
    ("contract", "change", "refused"),
    [
        ("app_ready_v2", ("[cellular", "[satellite, cellular"), ("app_ready", 2, {"network_type": "satellite"})),
        (
            "playback_heartbeat_v1",
            ("maximum: 600", "maximum: 900"),
            ("playback_heartbeat", 1, {"watched_seconds": 700}),
        ),
    ],
)
def test_a_wider_enum_or_maximum_lets_in_what_it_kept_out(
    contract: str, change: tuple[str, str], refused: tuple[str, int, dict[str, Any]], mend: Mend
) -> None:
    name, version, properties = refused
    sent = event(name, version)
    sent["properties"] |= properties
    before = land(line(), json.dumps(sent).encode())
    assert before.quarantined == 1
    mend(**{contract: change})
    replay_day(before)
    assert (landed().accepted, landed().quarantined) == (2, 0)
    assert not quarantined()
    assert_as_if_read_anew(before)


def test_a_wider_rule_lets_in_what_was_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    before = land(line(), late(3), late(5), late(6))
    monkeypatch.setenv("LIFTOFF_LATE_ARRIVAL_DAYS", "5")
    assert replay_day(before).by_reason == {"too_late": Tried(2, 1)}
    assert landed().first_event_date == DAY - timedelta(5)
    assert_as_if_read_anew(before)


@pytest.mark.parametrize("later_by", [-1, 1])
def test_of_two_deliveries_of_an_event_the_first_stays_whichever_had_landed(later_by: int, mend: Mend) -> None:
    second = f"{DAY}T10:00:0{2 + later_by}.000Z"
    before = land(line(event_id="twice", user_id="landed"), app_ready_3(event_id="twice", received_at=second))
    mend(app_ready_v3=APP_READY_3)
    replay_day(before)
    assert (landed().accepted, landed().duplicates, landed().quarantined) == (1, 1, 0)
    assert_as_if_read_anew(before)


POOL = [
    *(line(event_id=f"p{number}") for number in range(3)),
    *(app_ready_3(event_id=f"p{number}", received_at=f"{DAY}T10:00:0{3 - number}.5Z") for number in range(3)),
    *(app_ready_3(event_id="q", received_at=f"{DAY}T10:00:0{number}Z", user_id=str(number)) for number in range(2)),
    *(late(4, event_id=f"p{number}", received_at=f"{DAY}T10:00:00.7Z") for number in range(2)),
    *(
        b"\xef\xbb\xbf" + app_ready_3(),
        app_ready_3() + b"\r",
        b"no JSON",
        b"\xff",
        b" ",
        b"[]",
        b"1" * (1 << 20) + b"1",
    ),
    app_ready_3()[:-1] + b',"event_id":"again"}',
    line(event_id="p1", platform="fridge"),
]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.sampled_from(POOL), min_size=1, max_size=14))
def test_a_replay_gives_what_a_load_under_the_mended_contract_gives(
    lines: list[bytes], mend: Mend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    with monkeypatch.context() as patch:
        before = land(*lines)
        mend(app_ready_v3=APP_READY_3)
        patch.setenv("LIFTOFF_LATE_ARRIVAL_DAYS", "4")
        replay_day(before)
        replayed, refused = landed(), what_was_refused()
        fresh = land_source()
    (tmp_path / "contracts" / "events" / "app_ready.v3.yml").unlink()
    expected = what_landed(fresh)
    if not replayed.replay_of:  # no record joined: the landing stays as it was, without the new property's column
        expected |= {name: getattr(before, name) for name in ("content_hash", "contract_digest")}
    assert what_landed(replayed) == expected
    assert refused == what_was_refused()


def test_what_only_the_first_line_of_a_file_may_begin_with_stays_refused(mend: Mend) -> None:
    before = land(line(), b"\xef\xbb\xbf" + app_ready_3(), app_ready_3())
    mend(app_ready_v3=APP_READY_3)
    replay_day(before)
    assert [record["reason"] for record in quarantined()] == ["not_json"]
    assert_as_if_read_anew(before)


def test_a_second_replay_changes_no_file(mend: Mend) -> None:
    before = land(line(), app_ready_3(), b"no JSON")
    mend(app_ready_v3=APP_READY_3)
    replay_day(before)
    once = files_of_the_lake()
    assert replay_day(landed()).by_reason == {"not_json": Tried(1, 0)}
    assert files_of_the_lake() == once


def test_only_the_wanted_reason_is_tried(mend: Mend) -> None:
    before = land(line(), app_ready_3(), late(4))
    mend(app_ready_v3=APP_READY_3)
    tried = replay_day(before, "too_late")
    assert tried.by_reason == {"too_late": Tried(1, 0)}
    assert landed() == before
    assert {record["reason"]: len(record["tries"]) for record in quarantined()} == {"unknown_version": 1, "too_late": 2}


def test_what_still_fails_tells_since_when_how_often_and_why(mend: Mend) -> None:
    first = land(line(), app_ready_3(theme="loud"), line(platform="fridge"))
    mend(app_ready_v3=APP_READY_3)
    replay_day(first)
    replay_day(first)
    assert landed() == first, "no record joined, so no landing was made"
    unknown, fridge = quarantined()
    assert (unknown["reason"], unknown["detail"]) == ("not_in_enum", "theme is loud, not one of dark, light")
    digest = load_event_contracts(Path(CONTRACTS_DIR)).digest
    assert [(one["reason"], one["contract_digest"] == digest) for one in unknown["tries"]] == [
        ("unknown_version", True),
        ("not_in_enum", False),
    ]
    assert unknown["tries"][0]["tried_at"] == first.started_at.replace(tzinfo=None)
    assert {one["rules"] for one in unknown["tries"]} == {load_settings().event_rules}
    assert [one["reason"] for one in fridge["tries"]] == ["not_in_enum"] * 2

    _, records = looks.refused(load_settings(), limit=5, event_name="app_ready")
    [told] = records
    assert (told["tried"], told["since"]) == (2, unknown["tries"][0]["tried_at"])


def test_a_replay_keeps_records_no_longer_and_shows_them_to_nobody_else(mend: Mend) -> None:
    before = land(line(), app_ready_3(), b"no JSON")
    kept = lake().quarantine_of(before)
    ten_days_ago = time.time() - 10 * 86_400
    os.utime(kept, (ten_days_ago, ten_days_ago))
    mend(app_ready_v3=APP_READY_3)
    for _ in range(2):
        replay_day(landed())
        path = lake().quarantine_of(landed())
        assert path.stat().st_mtime == pytest.approx(ten_days_ago, abs=1)
        assert path.stat().st_mode & 0o777 == 0o600
    assert not kept.exists()
    lake().sweep(rejected_days=11)
    assert quarantined()
    lake().sweep(rejected_days=9)
    assert not quarantined()


def test_a_day_that_was_loaded_again_meanwhile_wins_over_the_replay(mend: Mend) -> None:
    before = land(line(), app_ready_3())
    mend(app_ready_v3=APP_READY_3)
    began_before = stage_events(load_settings(), lake(), DAY)
    tried = stage_replay(load_settings(), lake(), before)
    loaded = lake().accept(began_before)
    lost = lake().accept(tried.outcome)
    assert (lost.status, loaded.ingest_id in lost.reason) == ("superseded", True)
    assert landed() == loaded
    unchanged = stage_replay(load_settings(), lake(), before, "not_json")
    assert unchanged.outcome.ingest_id == loaded.ingest_id, "a replay begins with what has landed"
    assert not lake().amend(before, unchanged.pending)


def test_a_replay_that_was_killed_between_data_and_outcome_is_completed_by_the_next_run(mend: Mend) -> None:
    before = land(line(), app_ready_3(), b"no JSON")
    mend(app_ready_v3=APP_READY_3)
    tried = stage_replay(load_settings(), lake(), before)
    shutil.rmtree(load_settings().events_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.lake.write_json", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            lake().accept(tried.outcome)
    with pytest.raises(LandingInterrupted):
        lake().partitions("events", "events")
    lake().sweep(rejected_days=30)
    assert what_landed(landed()) == what_landed(tried.outcome)
    assert lake().partitions("events", "events")[0].rows == 2
    assert [record["raw"] for record in quarantined()] == [b"no JSON"]
    assert len(list(lake().quarantine_dir(landed()).iterdir())) == 1


def test_a_replay_that_is_under_way_is_not_completed_by_another_run(mend: Mend) -> None:
    before = land(line(), app_ready_3())
    mend(app_ready_v3=APP_READY_3)
    tried = stage_replay(load_settings(), lake(), before)
    lake().sweep(rejected_days=30)
    assert landed() == before
    assert lake().accept(tried.outcome).status == "accepted"


def test_an_interrupted_landing_is_not_replayed() -> None:
    before = land(line(), b"no JSON")
    staged = stage_events(load_settings(), lake(), DAY)
    replace(lake().pending(staged) / "data.parquet", lake().landing_dir("events", "events", DAY) / "data.parquet")
    with pytest.raises(LandingInterrupted, match="load these days again"):
        stage_replay(load_settings(), lake(), before)
    assert [path.name for path in (lake().root / "pending").iterdir()] == [staged.ingest_id]


def test_nothing_is_added_to_a_landing_that_is_not_what_was_accepted() -> None:
    before = land(line(), b"no JSON")
    data = lake().landing_dir("events", "events", DAY) / "data.parquet"
    rows = pq.read_table(data)
    place = rows.schema.get_field_index("device_id")
    pq.write_table(rows.set_column(place, rows.schema.field(place), [["another"]]), data)
    with pytest.raises(LandingDamaged, match=f"{DAY} is not the file that was accepted"):
        stage_replay(load_settings(), lake(), before)
    assert not list((lake().root / "pending").iterdir())


def test_a_record_that_is_missing_from_quarantine_is_noticed(mend: Mend) -> None:
    before = land(line(), app_ready_3(), b"no JSON")
    path = lake().quarantine_of(before)
    duckdb.execute(f"copy (from '{path}' where reason <> 'not_json') to '{path}.cut' (format parquet)")
    replace(Path(f"{path}.cut"), path)
    mend(app_ready_v3=APP_READY_3)
    with pytest.raises(SourceError, match="made of 3 lines, but 2 were accepted, 0 quarantined"):
        stage_replay(load_settings(), lake(), before)
    assert not list((lake().root / "pending").iterdir())
    assert landed() == before


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# --- with the gate --------------------------------------------------------------------------------------------------


def full_day(*more: bytes, day: date = DAY) -> list[bytes]:
    """A day that passes the gate, and more lines."""
    times = ("occurred_at", "sent_at", "received_at")
    hours: list[dict[str, Any]] = [
        dict.fromkeys(times, f"{day}T{number % 24:02}:00:0{number % 9}Z") for number in range(240)
    ]
    return [*(line(**hour) for hour in hours), *more]


def audited(*more: bytes, day: date = DAY) -> Outcome:
    """Land such a day through the gate."""
    write_day({"events-10.jsonl.gz": full_day(*more, day=day)}, day)
    [outcome] = intake.land_events(Window(day, day))
    return outcome


def recorded(table: str) -> list[dict[str, Any]]:
    with connect(load_settings()) as connection:
        meta.load(connection, load_settings().lake_dir)
        return looks.ask(connection, f"from meta.{table} order by started_at, reason")


def test_a_replay_leaves_a_row_for_each_day_and_reason_and_one_for_each_landing(mend: Mend) -> None:
    before = audited(app_ready_3(), app_ready_3(), b"no JSON")
    mend(app_ready_v3=APP_READY_3)
    replay.replay_events()
    replay.replay_events(Window(DAY, DAY))
    rows = [(row["day"], row["reason"], row["tried"], row["accepted"], row["ingest_id"]) for row in recorded("replay")]
    assert rows == [
        (DAY, "not_json", 1, 0, landed().ingest_id),
        (DAY, "unknown_version", 2, 2, landed().ingest_id),
        (DAY, "not_json", 1, 0, None),
    ]
    assert [(row["status"], row["replay_of"]) for row in recorded("ingest")] == [
        ("accepted", ""),
        ("accepted", before.ingest_id),
    ]
    assert landed().gate_id


def test_a_replay_that_adds_nothing_is_told_once_whatever_failed_to_land_before() -> None:
    for _ in range(2):
        with pytest.raises(intake.LandingFailed):
            intake.land_events(Window(NEXT_DAY, NEXT_DAY))
    audited(b"no JSON")
    began = now()
    replay.replay_events()
    assert [(row["day"], row["tried"], row["status"]) for row in looks.replayed(load_settings(), began)] == [
        (DAY, 1, "unchanged")
    ]


def test_a_replay_that_the_gate_refuses_leaves_the_landing_and_all_that_it_refused(mend: Mend) -> None:
    elsewhere = f"{NEXT_DAY}T10:00:02Z"
    before = audited(app_ready_3(received_at=elsewhere, sent_at=elsewhere, occurred_at=elsewhere), b"no JSON")
    mend(app_ready_v3=APP_READY_3)
    with pytest.raises(Blocked, match="received_on_its_day") as blocked:
        replay.replay_events()
    assert "then replay again" in str(blocked.value)
    assert "load the same days again" not in str(blocked.value), "that would refuse the records once more"
    assert landed() == before
    assert [record["reason"] for record in quarantined()] == ["unknown_version", "not_json"]
    assert [path.stem for path in lake().quarantine_dir(before).iterdir()] == [before.ingest_id]
    assert not list((lake().root / "rejected").rglob("quarantine.parquet"))
    assert [row["status"] for row in recorded("ingest")] == ["accepted", "rejected"]
    assert not looks.recent(load_settings())["days not accepted"], "the landing stands"


def test_a_replay_that_could_not_read_leaves_no_day_that_is_not_accepted(
    mend: Mend, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = audited(app_ready_3())
    mend(app_ready_v3=APP_READY_3)

    def fail(*_: object) -> None:
        raise SourceError("the disk is full")

    monkeypatch.setattr(replay, "stage_replay", fail)
    with pytest.raises(intake.LandingFailed, match="disk is full"):
        replay.replay_events()
    assert [(row["status"], row["replay_of"]) for row in recorded("ingest")][1:] == [("failed", before.ingest_id)]
    assert not looks.recent(load_settings())["days not accepted"]


def test_a_rehearsal_says_what_a_replay_would_do_and_changes_nothing(mend: Mend) -> None:
    audited(app_ready_3(), b"no JSON")
    mend(app_ready_v3=APP_READY_3)
    before = files_of_the_lake()
    rows = replay.rehearse(reason="unknown_version")
    assert [(row["reason"], row["tried"], row["accepted"]) for row in rows] == [("unknown_version", 1, 1)]
    assert files_of_the_lake() == before
    assert not list((lake().root / "pending").iterdir())


def test_without_refused_records_there_is_nothing_to_replay(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="liftoff")
    replay.replay_events()
    audited()
    replay.replay_events()
    assert caplog.text.count("Nothing to replay") == 2
    assert not replay.rehearse()


def test_a_wider_rule_brings_every_landed_day_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    audited(late(4))
    audited(day=NEXT_DAY)
    monkeypatch.setenv("LIFTOFF_LATE_ARRIVAL_DAYS", "5")
    with pytest.raises(WrongUsage, match="Replay all days at once"):
        replay.replay_events(Window(DAY, DAY))
    with pytest.raises(WrongUsage, match="too_late or all reasons"):
        replay.replay_events(reason="not_json")
    replay.replay_events(reason="too_late")
    wider = load_settings().event_rules
    assert {one.rules for one in lake().accepted("events", "events")} == {wider}
    assert landed().accepted == 241
    replayed = [what_landed(landed(day)) for day in (DAY, NEXT_DAY)]
    intake.land_events(Window(DAY, NEXT_DAY))
    assert [what_landed(landed(day)) for day in (DAY, NEXT_DAY)] == replayed


@pytest.mark.parametrize(("setting", "value"), [("LATE_ARRIVAL_DAYS", "2"), ("LAUNCH_DATE", "2026-01-04")])
def test_a_narrower_rule_or_another_launch_date_asks_for_the_days_to_be_loaded_again(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = audited(late(4))
    monkeypatch.setenv(f"LIFTOFF_{setting}", value)
    with pytest.raises(OtherRules, match=f"{DAY} landed under other settings .* Load these days again"):
        replay.replay_events()
    assert landed() == before


def test_a_wider_rule_cannot_reach_records_that_were_purged(monkeypatch: pytest.MonkeyPatch) -> None:
    before = audited(late(4))
    lake().quarantine_of(before).unlink()
    assert any(f"{DAY} refused was purged" in sentence for sentence in replay.left_out(lake(), None))
    monkeypatch.setenv("LIFTOFF_LATE_ARRIVAL_DAYS", "5")
    with pytest.raises(OtherRules, match="were purged"):
        replay.replay_events()
    assert landed() == before


def test_what_cannot_be_replayed_is_named_with_the_remedy() -> None:
    warehouse = duckdb_warehouse()
    for table, contract in CONTRACTS.items():
        if contract.read == "snapshot":
            warehouse.insert(table, *(row(table) for _ in range(30)))
    warehouse.insert("plans", row("plans", plan_id=None))
    outcomes = intake.land_extracts(Window(DAY, DAY))
    assert [one.table for one in outcomes if one.quarantined] == ["plans"]
    write_day({"events-10.jsonl.gz": full_day(*[b"no JSON"] * 30)})
    with pytest.raises(Blocked, match="quarantined_share"):
        intake.land_events(Window(DAY, DAY))
    blocked, asked_again = replay.left_out(lake(), None)
    assert blocked.startswith(f"The gate refused {DAY} as a whole: load these days again")
    assert f"warehouse.plans has refused records of {DAY}" in asked_again
    assert f"liftoff run --start {DAY} --end {DAY}" in asked_again
    assert not list(replay.left_out(lake(), Window(NEXT_DAY, NEXT_DAY)))


def test_refused_records_are_counted_by_what_they_say_of_themselves() -> None:
    land(line(), app_ready_3(app_version="1.4.0"), app_ready_3(app_version="1.4.1"), b"no JSON\x1b[31m", b'"text"')
    land(app_ready_3(app_version="1.4.0"), late(9), day=NEXT_DAY)
    counts, records = looks.refused(load_settings(), limit=10)
    names = ("reason", "source", "event_name", "schema_version", "app_version", "days", "records")
    assert [tuple(row[name] for name in names) for row in counts] == [
        ("unknown_version", "events", "app_ready", "3", "1.4.0", 2, 2),
        ("not_an_object", "events", None, None, None, 1, 1),
        ("not_json", "events", None, None, None, 1, 1),
        ("too_late", "events", "title_viewed", "1", "some app_version", 1, 1),
        ("unknown_version", "events", "app_ready", "3", "1.4.1", 1, 1),
    ]
    assert len(records) == 6
    wanted: list[tuple[dict[str, Any], int]] = [
        ({"app_version": "1.4.0"}, 2),
        ({"schema_version": "3", "day": DAY}, 2),
        ({"event_name": "app_ready", "reason": "too_late"}, 0),
        ({"table": "payments"}, 0),
        ({"source": "events"}, 6),
        ({"source": "warehouse"}, 0),
        ({"table": "events", "limit": 1}, 1),
    ]
    for narrowed, expected in wanted:
        assert len(looks.refused(load_settings(), **({"limit": 10} | narrowed))[1]) == expected, narrowed


def test_values_that_begin_alike_are_told_apart() -> None:
    long_name = "an_event_whose_name_is_longer_than_a_column"
    land(*(app_ready_3(app_version=f"4.12.0-nightly.{night}", event_name=f"{long_name}_{night}") for night in range(2)))
    counts, _ = looks.refused(load_settings(), limit=1)
    assert len(counts) == 2
    wanted: list[dict[str, Any]] = [{"app_version": "4.12.0-nightly.1"}, {"event_name": f"{long_name}_1"}]
    for narrowed in wanted:
        [count], [record] = looks.refused(load_settings(), limit=9, **narrowed)
        assert (count["records"], record["app_version"]) == (1, "4.12.0-nightly.1")
