"""What a landing of event logs holds."""

import json
import random
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.events import stage_events
from storage.lake import Lake
from storage.settings import load_settings
from tests.unit.event_lines import CONTRACTS, DAY, event, line, stage, stage_day, write_day


def test_every_contract_lands_as_flat_typed_columns() -> None:
    staged = stage(*(line(name, version) for name, version in CONTRACTS.events))
    assert staged.outcome.accepted == len(CONTRACTS.events)
    path = Lake(load_settings().lake_dir).pending(staged.outcome) / "data.parquet"
    types = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "timestamp": pa.timestamp("us")}
    promised = (
        {field.name: field.type for field in CONTRACTS.envelope} | CONTRACTS.properties | {"event_at": "timestamp"}
    )
    assert {field.name: field.type for field in pq.read_schema(path)} == {
        name: types[kind] for name, kind in promised.items()
    }


def test_a_landing_carries_its_ingest_id_and_writes_only_below_pending() -> None:
    staged = stage(line(), line(platform="fridge"))
    settings = load_settings()
    assert [path.name for path in settings.lake_dir.iterdir()] == ["pending"]
    pending = settings.lake_dir / "pending" / staged.outcome.ingest_id
    assert {path.name for path in pending.iterdir()} == {"data.parquet", "quarantine.parquet"}
    assert pq.read_metadata(pending / "data.parquet").metadata[b"ingest_id"].decode() == staged.outcome.ingest_id


def test_an_accepted_landing_is_listed_with_what_its_outcome_says() -> None:
    outcome = stage(line(), line(occurred_at="2026-02-12T10:00:00Z")).outcome
    lake = Lake(load_settings().lake_dir)
    lake.accept(outcome)
    [partition] = lake.partitions("events", "events")
    assert (partition.rows, partition.content_hash) == (2, outcome.content_hash)
    assert (partition.first_event_date, partition.last_event_date) == (date(2026, 2, 12), DAY)


def test_an_empty_text_is_no_value() -> None:
    [row] = stage(json.dumps(event(user_id="")).encode()).accepted
    assert row["user_id"] is None


def test_values_land_as_they_were_sent() -> None:
    sent = event("playback_start", 2, user_id=None, device_model='Größe \U0001f4fa "5"\n')
    sent["properties"] |= {"startup_seconds": 0.1}
    [row] = stage(json.dumps(sent).encode()).accepted
    assert (row["user_id"], row["device_model"], row["startup_seconds"]) == (None, sent["device_model"], 0.1)
    assert row["title_id"] == sent["properties"]["title_id"]


@pytest.mark.parametrize(
    ("sent_at", "event_at"),
    [
        ("2026-02-14T10:05:02Z", "10:00:00"),  # exactly 5 minutes ahead: as it says
        ("2026-02-14T09:55:02Z", "10:00:00"),
        ("2026-02-14T10:05:03Z", "09:54:59"),  # a second more: moved back by what the collector's clock shows
        ("2026-02-14T09:55:01Z", "10:05:01"),
    ],
)
def test_event_time_is_corrected_when_the_clocks_differ_by_more_than_five_minutes(sent_at: str, event_at: str) -> None:
    [row] = stage(line(sent_at=sent_at)).accepted
    assert str(row["event_at"]) == f"2026-02-14 {event_at}"
    assert str(row["occurred_at"]) == "2026-02-14 10:00:00"


@pytest.mark.parametrize(
    ("occurred_at", "reasons"),
    [
        ("2026-02-11T00:00:00Z", []),
        ("2026-02-10T23:59:59.999999Z", ["too_late"]),
        ("2026-02-14T11:00:02Z", []),
        ("2026-02-14T11:00:02.000001Z", ["future"]),
    ],
)
def test_an_event_counts_from_three_days_before_to_an_hour_after_it_is_received(
    occurred_at: str, reasons: list[str]
) -> None:
    assert stage(line(occurred_at=occurred_at)).reasons == reasons


def test_late_arrival_days_and_launch_date_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTOFF_LATE_ARRIVAL_DAYS", "1")
    monkeypatch.setenv("LIFTOFF_LAUNCH_DATE", "2026-02-13")
    days = ("2026-02-12T23:59:59Z", "2026-02-13T00:00:00Z")
    assert stage(*(line(occurred_at=day) for day in days)).reasons == ["before_launch"]
    monkeypatch.setenv("LIFTOFF_LAUNCH_DATE", "2026-02-01")
    assert stage(*(line(occurred_at=day) for day in days)).reasons == ["too_late"]


def kept_of(**again: Any) -> set[str]:
    """Which of two lines with one id is kept, in either order."""
    lines = [line(event_id="e", device_model="first"), line(event_id="e", device_model="again", **again)]
    staged = [stage(*lines), stage(*reversed(lines))]
    assert [(each.outcome.accepted, each.outcome.duplicates) for each in staged] == [(1, 1), (1, 1)]
    return {row["device_model"] for each in staged for row in each.accepted}


def test_of_repeats_the_one_received_first_is_kept_whatever_the_order() -> None:
    assert kept_of(received_at="2026-02-14T10:00:01Z") == {"again"}
    assert kept_of(received_at="2026-02-14T10:00:03Z") == {"first"}


def test_repeats_received_together_are_decided_by_their_content() -> None:
    assert kept_of() == {"again"}


def test_a_refused_copy_does_not_take_the_place_of_an_accepted_one() -> None:
    staged = stage(line(event_id="e", received_at="2026-02-14T09:59:00Z", platform="fridge"), line(event_id="e"))
    assert (staged.reasons, staged.outcome.accepted, staged.outcome.duplicates) == (["not_in_enum"], 1, 0)


def many_lines(count: int) -> list[bytes]:
    """`count` lines, of which each tenth is sent twice and each hundredth is bad."""
    lines = [line() for _ in range(count)]
    return [*lines, *lines[::10], *(line(platform="fridge") for _ in lines[::100]), *(b"{" for _ in lines[::100])]


def test_the_content_hash_depends_on_the_accepted_records_alone() -> None:
    lines = many_lines(5_000)
    first = stage(hour=lines).outcome
    assert (first.accepted, first.duplicates, first.quarantined) == (5_000, 500, 100)
    assert stage_day().outcome.content_hash == first.content_hash
    random.Random(1).shuffle(lines)
    folder = write_day({"hour.jsonl.gz": lines[:3_000], "another.jsonl": lines[3_000:]})
    assert stage_day().outcome.content_hash == first.content_hash
    (folder / "another.jsonl").unlink()
    write_day({"hour.jsonl.gz": [*lines, b"not JSON"]})
    assert stage_day().outcome.content_hash == first.content_hash
    write_day({"hour.jsonl.gz": [line.replace(b"some user_id", b"some_user_id") for line in lines]})
    assert stage_day().outcome.content_hash != first.content_hash


def test_lines_are_found_again_in_large_files_of_any_ending() -> None:
    """Several read blocks and reader threads, with bad lines of both kinds on every 5,000th line."""
    lines = [line() for _ in range(30_000)]
    bad = [line(platform="fridge"), b"\xff", line()[:-1] + b', "event_id": "e"}', b""]
    for index, place in enumerate(range(4_999, 30_000, 5_000)):
        lines[place] = bad[index % 4]
    staged = stage(a=lines, b=b"\r\n".join(lines))
    places = [(record["file"], record["line"], record["reason"]) for record in staged.quarantined]
    reasons = ["not_in_enum", "not_utf8", "duplicate_key", None, "not_in_enum", "not_utf8"]
    assert places == [
        (f"{file}.jsonl.gz", 5_000 * (index + 1), reason)
        for file in "ab"
        for index, reason in enumerate(reasons)
        if reason
    ]
    assert staged.outcome.duplicates == 29_994


def test_unknown_fields_are_reported_and_do_not_break_the_load() -> None:
    staged = stage(
        *(line("app_ready", 2, build=7) for _ in range(3)),
        line("app_ready", 2, properties={"network_type": "wifi", "title_id": "t", "speed": [1]}),
        line(),
    )
    assert staged.outcome.accepted == 5
    assert staged.outcome.warnings == (
        "unknown field build in app_ready 2: 3 of 5 sampled lines",
        "unknown field properties.speed in app_ready 2: 1 of 5 sampled lines",
        "unknown field properties.title_id in app_ready 2: 1 of 5 sampled lines",
    )


def test_uncompressed_files_count_and_others_do_not() -> None:
    write_day(
        {
            "a.jsonl": [line()],
            "b.jsonl.gz": [line()],
            "c.jsonl.gz.part": [line()],
            ".d.jsonl": [line()],
            "notes.txt": [b"?"],
        }
    )
    settings = load_settings()
    assert stage_events(settings, Lake(settings.lake_dir), DAY).accepted == 2


def test_a_path_may_hold_a_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(load_settings().data_dir / "o'clock"))
    assert stage(line(), line(platform="fridge")).outcome.quarantined == 1


def test_an_outcome_says_what_was_staged_and_when() -> None:
    outcome = stage(line()).outcome
    assert (outcome.source, outcome.table, outcome.day, outcome.status) == ("events", "events", DAY, "staged")
    assert outcome.contract_digest == CONTRACTS.digest
    assert 0 <= (datetime.now(UTC) - outcome.started_at).total_seconds() - outcome.seconds < 60
