"""Whatever a source sends is accepted, quarantined with its reason, or refused as a whole. Nothing is lost."""

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion import events
from ingestion.events import Reason, SourceError
from ingestion.lines import Screen, read_blocks
from storage.files import new_id
from storage.lake import Lake
from storage.settings import load_settings
from tests.unit.event_lines import DAY, event, line, stage, stage_day, write_day


def without(field: str, **changes: Any) -> bytes:
    return json.dumps({name: value for name, value in event(**changes).items() if name != field}).encode()


BAD_LINES = {
    "a line of 50 MB": (line(user_id="x" * 50_000_000), Reason.LINE_TOO_LONG),
    "invalid UTF-8": (line().replace(b"some title_id", b"caf\xe9"), Reason.NOT_UTF8),
    "invalid UTF-8 in an unknown field": (line(note="ascii").replace(b"ascii", b"\xff"), Reason.NOT_UTF8),
    "a NUL byte": (line().replace(b"some title_id", b"a\0b"), Reason.NOT_JSON),
    "a \\x01 byte": (line().replace(b"some title_id", b"a\x01b"), Reason.NOT_JSON),
    "text that is not JSON": (b"127.0.0.1 - GET /index.html", Reason.NOT_JSON),
    "a line cut off": (line()[:-20], Reason.NOT_JSON),
    "two objects on a line": (line() + line(), Reason.NOT_JSON),
    "a trailing comma": (line()[:-1] + b",}", Reason.NOT_JSON),
    "NaN": (line("playback_heartbeat").replace(b"7.5", b"NaN"), Reason.NOT_JSON),
    "NaN in an unknown field": (line(note=float("nan")), Reason.NOT_JSON),
    "a number too large for its type": (line("playback_heartbeat").replace(b"7.5", b"1e999"), Reason.NOT_JSON),
    "thousands of nested lists": (
        line(note=0).replace(b'"note": 0', b'"note":' + b"[" * 9999 + b"]" * 9999),
        Reason.NOT_JSON,
    ),
    "an unpaired surrogate": (line().replace(b"some title_id", b"\\ud800"), Reason.NOT_JSON),
    "a JSON list": (b"[1, 2]", Reason.NOT_AN_OBJECT),
    "a JSON null": (b"null", Reason.NOT_AN_OBJECT),
    "a duplicate key": (line()[:-1] + b', "platform": "ios"}', Reason.DUPLICATE_KEY),
    "a duplicate property": (line().replace(b'"title_id"', b'"title_id": "x", "title_id"'), Reason.DUPLICATE_KEY),
    "a number in a required string": (line(device_id=5), Reason.WRONG_TYPE),
    "an object in an optional string": (line(user_id={"id": "u1"}), Reason.WRONG_TYPE),
    "a string in a required integer": (line(schema_version="1"), Reason.WRONG_TYPE),
    "a fraction in an integer": (line(properties={"title_id": "t", "list_position": 1.5}), Reason.WRONG_TYPE),
    "a boolean in an optional integer": (line(properties={"title_id": "t", "list_position": True}), Reason.WRONG_TYPE),
    "an integer beyond 64 bits": (line(properties={"title_id": "t", "list_position": 2**63}), Reason.WRONG_TYPE),
    "a string in a number": (line("playback_heartbeat").replace(b"7.5", b'"7.5"'), Reason.WRONG_TYPE),
    "properties that are a list": (line(properties=[]), Reason.WRONG_TYPE),
    "a timestamp that is none": (line(occurred_at="yesterday"), Reason.WRONG_TYPE),
    "a date where a timestamp should be": (line(sent_at="2026-02-14"), Reason.WRONG_TYPE),
    "a day that does not exist": (line(received_at="2026-02-30T00:00:00Z"), Reason.WRONG_TYPE),
    "seconds since 1970": (line(occurred_at=1771063200), Reason.WRONG_TYPE),
    "a missing field of the envelope": (without("device_id"), Reason.MISSING_FIELD),
    "no event id": (without("event_id"), Reason.MISSING_FIELD),
    "an empty text in a required field": (line(device_id=""), Reason.MISSING_FIELD),
    "null in a required field": (line(session_id=None), Reason.MISSING_FIELD),
    "a missing property": (line(properties={}), Reason.MISSING_FIELD),
    "no properties at all": (without("properties"), Reason.MISSING_FIELD),
    "an unknown event": (line(event_name="app_purchase"), Reason.UNKNOWN_EVENT),
    "an unknown version": (line(schema_version=99), Reason.UNKNOWN_VERSION),
    "a platform that is not in the list": (line(platform="fridge"), Reason.NOT_IN_ENUM),
    "a property that is not in its list": (line("app_start", properties={"start_type": "hot"}), Reason.NOT_IN_ENUM),
    "a number below its minimum": (line(properties={"title_id": "t", "list_position": -1}), Reason.OUT_OF_RANGE),
    "a number above its maximum": (line("playback_heartbeat").replace(b"7.5", b"86401"), Reason.OUT_OF_RANGE),
    "an event of the far future": (
        line(occurred_at="9999-12-31T23:59:59Z", sent_at="2026-02-14T10:00:02Z"),
        Reason.FUTURE,
    ),
    "an event of before launch": (line(occurred_at="1970-01-01T00:00:00Z"), Reason.BEFORE_LAUNCH),
    "an event that is too late": (line(occurred_at="2026-02-10T23:59:59Z"), Reason.TOO_LATE),
}


@pytest.mark.parametrize(("bad", "reason"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_quarantined_with_its_reason_place_and_exact_bytes(bad: bytes, reason: Reason) -> None:
    staged = stage(line(), b"", bad, line())
    assert [(record["reason"], record["line"]) for record in staged.quarantined] == [(reason, 3)]
    record = staged.quarantined[0]
    assert record["raw"] == bad
    assert record["file"] == "events-10.jsonl.gz"
    assert record["contract_digest"] == staged.outcome.contract_digest
    assert 0 < len(record["detail"]) < 200
    assert staged.outcome.accepted == 2


def test_a_quarantined_record_names_its_event_and_its_event_day_where_they_are_known() -> None:
    late = stage(line(event_id="late", occurred_at="2026-02-10T23:00:00Z")).quarantined[0]
    assert (late["event_id"], str(late["event_date"])) == ("late", "2026-02-10")
    wrong = stage(line(event_id="wrong", user_id=5)).quarantined[0]
    assert (wrong["event_id"], wrong["event_date"]) == ("wrong", None)
    assert wrong["detail"] == "user_id is 5, not a string"


def test_an_event_day_that_no_calendar_reaches_is_left_out() -> None:
    staged = stage(line(occurred_at="0001-01-01T00:00:00Z", sent_at="9999-01-01T00:00:00Z"))
    assert [record["event_date"] for record in staged.quarantined] == [None]


def test_lines_may_end_in_crlf() -> None:
    staged = stage(events=b"\r\n".join([line(), line(platform="fridge"), line(), b""]))
    assert (staged.outcome.accepted, staged.reasons) == (2, ["not_in_enum"])


def test_a_file_may_start_with_a_byte_order_mark() -> None:
    assert stage(events=b"\xef\xbb\xbf" + line() + b"\n" + line() + b"\n").outcome.accepted == 2


def test_a_byte_order_mark_elsewhere_is_quarantined() -> None:
    assert stage(line(), b"\xef\xbb\xbf" + line()).reasons == ["not_json"]


def test_blank_lines_are_not_records() -> None:
    assert stage(b"", line(), b"", b"  \t", b"\r", line(), b"").outcome.read == 2


def test_the_last_line_may_lack_its_line_end() -> None:
    assert stage(events=line() + b"\n" + line()).outcome.accepted == 2
    assert stage(events=line() + b"\n" + line()[:-9]).reasons == ["not_json"]


def test_timestamps_with_offsets_are_read_as_utc() -> None:
    [row] = stage(line(occurred_at="2026-02-14T15:45:00.25+05:45", received_at="2026-02-14t10:00:02z")).accepted
    assert row["occurred_at"] == datetime(2026, 2, 14, 10, 0, 0, 250_000)  # noqa: DTZ001 - UTC without zone, as landed
    assert row["received_at"] == datetime(2026, 2, 14, 10, 0, 2)  # noqa: DTZ001


def test_the_same_file_twice_under_two_names_is_all_duplicates() -> None:
    lines = [line() for _ in range(100)]
    outcome = stage(one=lines, two=lines).outcome
    assert (outcome.read, outcome.accepted, outcome.duplicates) == (200, 100, 100)


def test_a_missing_hour_lands_and_is_left_to_the_audit() -> None:
    assert stage(**{"events-00": [line()], "events-02": [line()]}).outcome.accepted == 2


def test_an_hour_without_events_lands() -> None:
    assert stage(**{"events-00": [], "events-01": [line()]}).outcome.accepted == 1
    assert stage(**{"events-00": [], "events-01": []}).outcome.read == 0


def test_a_gzip_file_may_have_several_members() -> None:
    folder = write_day({})
    (folder / "events-00.jsonl.gz").write_bytes(b"".join(gzip.compress(line() + b"\n") for _ in range(3)))
    assert stage_day().outcome.accepted == 3


def assert_refused(*words: str) -> None:
    """The day is refused as a whole, in these words, and leaves nothing behind."""
    with pytest.raises(SourceError) as refusal:
        stage_day()
    assert [word for word in words if word not in str(refusal.value)] == [], str(refusal.value)
    assert [*(load_settings().lake_dir / "pending").glob("*")] == []


@pytest.mark.parametrize("cut", [1, 9, 300])
def test_a_truncated_gzip_file_is_refused(cut: int) -> None:
    path = write_day({"events-00.jsonl.gz": [line()], "events-01.jsonl.gz": [line() for _ in range(100)]})
    path /= "events-01.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-cut])
    assert_refused("events-01.jsonl.gz is truncated")


def test_a_damaged_gzip_file_is_refused() -> None:
    path = write_day({"events-00.jsonl.gz": [line() for _ in range(100)]}) / "events-00.jsonl.gz"
    content = bytearray(path.read_bytes())
    content[-6] ^= 255
    path.write_bytes(content)
    assert_refused("events-00.jsonl.gz is damaged")


def test_an_empty_file_is_refused() -> None:
    write_day({"events-00.jsonl.gz": [line()]}).joinpath("events-01.jsonl.gz").touch()
    assert_refused("events-01.jsonl.gz is empty")


def test_a_missing_folder_is_refused() -> None:
    assert_refused("no folder", str(DAY), "LIFTOFF_EVENTS_DIR")


def test_a_folder_without_logs_is_refused() -> None:
    write_day({}).joinpath("README").touch()
    assert_refused("holds no .jsonl.gz", str(DAY))


def test_a_file_that_still_grows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_while_written(path: Path) -> Iterator[bytes]:
        yield from read_blocks(path)
        with path.open("ab") as collector:
            collector.write(line() + b"\n")

    write_day({"events-00.jsonl": [line()]})
    monkeypatch.setattr(events, "read_blocks", read_while_written)
    assert_refused("events-00.jsonl", "still writes")


def test_a_file_without_read_permission_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o777)
        monkeypatch.setenv("LIFTOFF_DATA_DIR", shared)
        events_dir = write_day({"events-00.jsonl.gz": [line()]})
        (events_dir / "events-00.jsonl.gz").chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # to root, nothing is forbidden
        try:
            assert_refused("no permission", "events-00.jsonl.gz", "Give this user access")
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("file", ["lines.jsonl", "suspects.jsonl", "data.parquet", "quarantine.parquet"])
def test_a_full_disk_is_refused(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(lake: Lake) -> Path:
        pending = lake.root / "pending" / new_id()
        pending.mkdir(parents=True)
        (pending / file).symlink_to("/dev/full")
        return pending

    monkeypatch.setattr(Lake, "begin", begin)
    write_day({"events-00.jsonl.gz": [line(), line(platform="fridge"), b"not JSON"]})
    assert_refused("is full", "Free space")


def test_a_lost_line_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(screen: Screen, block: bytes, lines: list[bytes]) -> tuple[list[str], list[int]]:
        ids, refused = event_ids(screen, block, lines)
        lines[0] = b""
        return ids[1:], refused

    event_ids = Screen.event_ids
    monkeypatch.setattr(Screen, "event_ids", forgetful)
    write_day({"events-00.jsonl.gz": [line(), line(), line()]})
    assert_refused("Lost lines", "hold 3 lines", "2 were accepted")


def damaged(random: st.DataObject, number: int) -> bytes:
    """A valid line that something was done to."""
    content = bytearray(line("playback_heartbeat", event_id=f"e{number:03}", note="unknown"))
    for _ in range(random.draw(st.integers(0, 3))):
        place = random.draw(st.integers(0, len(content) - 1))
        change = random.draw(
            st.sampled_from([b"", b'"', b",", b"}", b"{", b"[1]", b"\\", b"null", b"1", b"\xff", b"\xc3\xa9"])
        )
        content[place : place + random.draw(st.integers(0, 4))] = change
    return bytes(content).replace(b"\n", b"")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_becomes_of_a_line_does_not_depend_on_the_lines_around_it(random: st.DataObject) -> None:
    lines = [damaged(random, number) for number in range(40)]
    together = stage(events=lines)
    # A duplicate key makes the landing look twice.
    apart = stage(events=[*lines[::-1], BAD_LINES["a duplicate key"][0]])
    assert sorted(map(repr, apart.accepted)) == sorted(map(repr, together.accepted))
    assert apart.outcome.content_hash == together.outcome.content_hash
    verdicts = [
        {(record["raw"], record["reason"], record["detail"]) for record in staged.quarantined}
        for staged in (together, apart)
    ]
    assert {reason for _, reason, _ in verdicts[1] - verdicts[0]} <= {Reason.DUPLICATE_KEY}
    assert verdicts[0] <= verdicts[1]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=40))
def test_no_bytes_can_break_a_landing(lines: list[bytes]) -> None:
    assert stage(line(), *lines).outcome.accepted == 1
