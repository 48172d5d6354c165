"""Landings and releases: what a crash, a rival or a rollback leaves visible."""

import dataclasses
import json
import os
import shutil
import threading
import time
from datetime import date
from pathlib import Path

import duckdb
import pytest

from storage import meta
from storage.days import now
from storage.engine import connect
from storage.errors import LiftoffError
from storage.files import new_id, sha256, write_json
from storage.lake import Lake, LandingInterrupted, Outcome
from storage.settings import Settings, load_settings
from storage.warehouse import Candidate, Manifest, NoRelease, NotAudited, Overtaken, Release, ReleaseDamaged, Warehouse

DAY = date(2026, 1, 5)


def stage(lake: Lake, value: int = 1, *, quarantined: bool = False) -> Outcome:
    pending = lake.begin()
    footer = f"(format parquet, kv_metadata {{ingest_id: '{pending.name}'}})"
    duckdb.execute(f"copy (select {value} as a) to '{pending}/data.parquet' {footer}")
    if quarantined:
        duckdb.execute(f"copy (select 'bad' as raw) to '{pending}/quarantine.parquet' (format parquet)")
    return Outcome(pending.name, "events", "events", DAY, "staged", now(), accepted=1, content_hash=str(value))


def build(warehouse: Warehouse, *, passed: bool = True) -> Candidate:
    candidate = warehouse.begin()
    with duckdb.connect(str(candidate.database)) as connection:
        connection.execute("create or replace table t as select $id as id", {"id": candidate.id})
    candidate.semantic_manifest.write_text("{}")
    candidate.keep_report({"passed": passed, "gate_id": "g"}, "<p>", candidate.digests())
    return candidate


def manifest(candidate: Candidate) -> Manifest:
    return Manifest(candidate.id, candidate.begun.parent, now(), DAY, DAY, (), (), "rules", "code", ())


def publish(warehouse: Warehouse) -> Release:
    candidate = build(warehouse)
    return warehouse.publish(candidate, manifest(candidate))


def raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse", releases_kept=3)


def test_an_accepted_landing_is_listed_with_its_content(lake: Lake) -> None:
    lake.accept(stage(lake, 7))
    (partition,) = lake.partitions("events", "events")
    assert (partition.day, partition.rows, partition.content_hash) == (DAY, 1, "7")
    assert partition.file_sha256 == sha256(lake.landing_dir("events", "events", DAY) / "data.parquet")
    assert not list((lake.root / "pending").glob("*"))


def test_a_landing_of_before_digests_were_kept_is_known_by_its_bytes_of_now(lake: Lake) -> None:
    lake.accept(stage(lake, 7))
    landing = lake.landing_dir("events", "events", DAY)
    kept = json.loads((landing / "outcome.json").read_bytes())
    del kept["file_sha256"]
    write_json(landing / "outcome.json", kept)
    (partition,) = lake.partitions("events", "events")
    assert partition.file_sha256 == sha256(landing / "data.parquet")


def test_landing_a_day_again_replaces_it_and_its_quarantine(lake: Lake) -> None:
    lake.accept(stage(lake, 1, quarantined=True))
    second = lake.accept(stage(lake, 2, quarantined=True))
    assert [partition.content_hash for partition in lake.partitions("events", "events")] == ["2"]
    assert [path.stem for path in lake.quarantine_dir(second).glob("*")] == [second.ingest_id]


def test_a_rejected_landing_leaves_the_previous_one_in_place(lake: Lake) -> None:
    lake.accept(stage(lake, 1))
    rejected = lake.reject(stage(lake, 2, quarantined=True), "half the day is missing", {"passed": False})
    assert [partition.content_hash for partition in lake.partitions("events", "events")] == ["1"]
    assert (lake.root / "rejected" / rejected.ingest_id / "data.parquet").exists()
    assert list(lake.quarantine_dir(rejected).glob("*.parquet"))


def test_a_landing_whose_file_is_torn_stops_builds_until_the_day_is_loaded_again(lake: Lake) -> None:
    lake.accept(stage(lake, 1))
    data = lake.landing_dir("events", "events", DAY) / "data.parquet"
    data.write_bytes(data.read_bytes()[:-20])
    with pytest.raises(LandingInterrupted, match=f"{DAY}.*load"):
        lake.partitions("events", "events")
    lake.accept(stage(lake, 2))
    assert [one.content_hash for one in lake.partitions("events", "events")] == ["2"]


@pytest.mark.parametrize("before", [True, False])
def test_data_that_was_swapped_without_its_outcome_stops_builds_until_the_day_is_loaded_again(
    lake: Lake, *, before: bool
) -> None:
    if before:
        lake.accept(stage(lake, 1))
    interrupted, landing = stage(lake, 2), lake.landing_dir("events", "events", DAY)
    landing.mkdir(parents=True, exist_ok=True)
    (lake.pending(interrupted) / "data.parquet").replace(landing / "data.parquet")
    with pytest.raises(LandingInterrupted, match=f"{DAY}.*load"):
        lake.partitions("events", "events")
    lake.accept(stage(lake, 3))
    assert [partition.content_hash for partition in lake.partitions("events", "events")] == ["3"]


def test_of_two_reads_of_a_day_the_later_one_stays_whichever_is_accepted_last(lake: Lake) -> None:
    early = stage(lake, 1)
    time.sleep(0.002)
    late = stage(lake, 2)
    lake.accept(late)
    assert lake.accept(early).status == "superseded"
    assert [partition.content_hash for partition in lake.partitions("events", "events")] == ["2"]


def test_while_landings_are_locked_none_is_swapped(lake: Lake) -> None:
    lake.accept(stage(lake, 1))
    outcome = stage(lake, 2)
    swapping = threading.Thread(target=lake.accept, args=(outcome,))
    with lake.locked():
        swapping.start()
        swapping.join(timeout=0.3)
        assert [partition.content_hash for partition in lake.partitions("events", "events")] == ["1"]
    swapping.join()
    assert [partition.content_hash for partition in lake.partitions("events", "events")] == ["2"]


def test_a_sweep_removes_what_is_past_its_time_and_nothing_else(lake: Lake) -> None:
    abandoned, running = lake.begin(), lake.begin()
    old, new = (lake.reject(stage(lake, number, quarantined=True), "bad", {}) for number in (1, 2))
    two_days, two_months = (time.time() - 86_400 * days for days in (2, 60))
    os.utime(abandoned, (two_days, two_days))
    rejected, refused = lake.root / "rejected", lake.quarantine_dir(old)
    for path in (rejected / old.ingest_id, refused / f"{old.ingest_id}.parquet"):
        os.utime(path, (two_months, two_months))
    lake.sweep(rejected_days=30)
    assert (abandoned.exists(), running.exists()) == (False, True)
    assert [path.name for path in rejected.glob("*")] == [new.ingest_id]
    assert [path.stem for path in refused.glob("*")] == [new.ingest_id]


def test_answers_of_services_are_kept_while_what_was_made_of_them_is_the_landing(lake: Lake) -> None:
    landed, replaced = stage(lake, 1), stage(lake, 2)
    folder = lake.root / "responses" / landed.source / landed.table / f"dt={landed.day}"
    folder.mkdir(parents=True)
    two_months = time.time() - 86_400 * 60
    for outcome in (landed, replaced):
        path = folder / f"{outcome.ingest_id}.jsonl.gz"
        path.touch()
        os.utime(path, (two_months, two_months))
    lake.accept(landed)
    lake.sweep(rejected_days=90)
    assert len(list(folder.iterdir())) == 2
    lake.sweep(rejected_days=30)
    assert [path.name for path in folder.iterdir()] == [f"{landed.ingest_id}.jsonl.gz"]


def test_quarantined_records_are_readable_by_their_owner_alone(lake: Lake) -> None:
    outcome = lake.accept(stage(lake, quarantined=True))
    (path,) = lake.quarantine_dir(outcome).glob("*.parquet")
    assert path.stat().st_mode & 0o777 == 0o600


def test_readers_see_nothing_before_the_first_release(warehouse: Warehouse) -> None:
    with pytest.raises(NoRelease, match="liftoff run"):
        warehouse.current()


def test_a_published_release_is_what_readers_see(warehouse: Warehouse) -> None:
    release = publish(warehouse)
    assert warehouse.current().id == release.id
    assert (warehouse.root / "current").readlink() == Path("releases") / release.id, "the link must be relative"
    assert release.manifest.database_bytes == release.database.stat().st_size


def test_a_candidate_is_a_copy_of_what_readers_see_and_changes_nothing_there(warehouse: Warehouse) -> None:
    first = publish(warehouse)
    build(warehouse)
    with duckdb.connect(str(first.database), read_only=True) as connection:
        assert connection.execute("select id from t").fetchall() == [(first.id,)]


@pytest.mark.parametrize("passed", [False, None, 1, "true"])
def test_only_a_report_that_says_passed_is_published(warehouse: Warehouse, passed: object) -> None:
    candidate = build(warehouse)
    write_json(candidate.path / "gate_report.json", {"passed": passed, "database_sha256": ""})
    with pytest.raises(NotAudited, match="has not passed"):
        warehouse.publish(candidate, manifest(candidate))
    with pytest.raises(NoRelease):
        warehouse.current()


def test_a_candidate_without_a_report_is_not_published(warehouse: Warehouse) -> None:
    candidate = build(warehouse)
    (candidate.path / "gate_report.json").unlink()
    with pytest.raises(NotAudited):
        warehouse.publish(candidate, manifest(candidate))


def test_a_candidate_that_changed_after_its_audit_is_not_published(warehouse: Warehouse) -> None:
    candidate = build(warehouse)
    with duckdb.connect(str(candidate.database)) as connection:
        connection.execute("insert into t values ('unaudited')")
    with pytest.raises(NotAudited, match="changed after its audit"):
        warehouse.publish(candidate, manifest(candidate))
    other = build(warehouse)
    other.semantic_manifest.write_text('{"metrics": []}')
    with pytest.raises(NotAudited, match="changed after its audit"):
        warehouse.publish(other, manifest(other))


def test_a_candidate_that_was_not_closed_cleanly_is_not_published(warehouse: Warehouse) -> None:
    candidate = build(warehouse)
    candidate.database.with_name("liftoff.duckdb.wal").touch()
    with pytest.raises(NotAudited, match="closed cleanly"):
        warehouse.publish(candidate, manifest(candidate))


def test_of_two_builds_with_one_parent_the_second_stops_and_names_the_winner(warehouse: Warehouse) -> None:
    publish(warehouse)
    slow, quick = build(warehouse), build(warehouse)
    winner = warehouse.publish(quick, manifest(quick))
    with pytest.raises(Overtaken, match=winner.id):
        warehouse.publish(slow, manifest(slow))
    assert warehouse.current().id == winner.id
    assert publish(warehouse).manifest.parent == winner.id, "the retry starts from the winner"


def test_many_builds_publishing_at_once_make_a_chain_without_forks(warehouse: Warehouse) -> None:
    published: list[Release] = []
    overtaken: list[Overtaken] = []

    def try_once() -> None:
        candidate = build(warehouse)
        barrier.wait()
        try:
            published.append(warehouse.publish(candidate, manifest(candidate)))
        except Overtaken as error:
            overtaken.append(error)

    barrier = threading.Barrier(8)
    threads = [threading.Thread(target=try_once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(published), len(overtaken)) == (1, 7)


def test_a_rollback_shows_the_parent_and_the_next_build_starts_from_it(warehouse: Warehouse) -> None:
    first, second = publish(warehouse), publish(warehouse)
    assert warehouse.roll_back().id == first.id
    assert publish(warehouse).manifest.parent == first.id
    assert warehouse.roll_back(second.id).id == second.id


def test_there_is_nothing_before_the_first_release(warehouse: Warehouse) -> None:
    publish(warehouse)
    with pytest.raises(NoRelease, match="first one"):
        warehouse.roll_back()


def test_the_newest_releases_are_kept(warehouse: Warehouse) -> None:
    ids = [publish(warehouse).id for _ in range(5)]
    assert [release.id for release in warehouse.releases()] == ids[:1:-1]
    assert sorted(path.name for path in (warehouse.root / "releases").glob("*")) == ids[2:]


def test_after_a_rollback_the_way_back_is_kept_before_what_was_rolled_back(warehouse: Warehouse) -> None:
    ids = [publish(warehouse).id for _ in range(3)]
    warehouse.roll_back(ids[0])
    repaired = publish(warehouse)
    assert {release.id for release in warehouse.releases()} == {repaired.id, ids[0], ids[2]}
    assert warehouse.roll_back().id == ids[0]


def test_a_publish_that_died_before_the_link_was_swapped_is_finished_by_its_retry(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(warehouse)
    candidate = build(warehouse)
    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "_show", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            warehouse.publish(candidate, manifest(candidate))
    assert warehouse.current() == first
    assert candidate.id not in {release.id for release in warehouse.releases()}, "nobody ever saw it"
    found = warehouse.candidate(candidate.id)
    assert warehouse.publish(found, manifest(found)).id == candidate.id
    assert warehouse.current().id == candidate.id
    found = warehouse.candidate(candidate.id)
    assert warehouse.publish(found, manifest(found)).id == candidate.id, "and once more changes nothing"


def test_what_was_moved_but_never_shown_is_no_release_and_goes_with_the_next_publish(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(warehouse)
    orphan = build(warehouse)
    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "_show", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            warehouse.publish(orphan, manifest(orphan))
    with pytest.raises(NoRelease):
        warehouse.roll_back(orphan.id)
    second = publish(warehouse)
    assert sorted(path.name for path in (warehouse.root / "releases").glob("*")) == [first.id, second.id]


def test_a_release_that_was_shown_by_a_killed_run_counts_as_shown(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = build(warehouse)
    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "_note", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            warehouse.publish(candidate, manifest(candidate))
    assert warehouse.current().id == candidate.id
    publish(warehouse)
    assert warehouse.roll_back().id == candidate.id


@pytest.mark.parametrize("name", ["database", "semantic_manifest"])
def test_a_release_that_is_not_what_was_published_is_not_shown_again(warehouse: Warehouse, name: str) -> None:
    first, second = publish(warehouse), publish(warehouse)
    with getattr(first, name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ReleaseDamaged, match="not what was published"):
        warehouse.roll_back()
    assert warehouse.current() == second


def test_nothing_is_added_to_a_release_that_is_not_what_was_published(warehouse: Warehouse) -> None:
    first, second = publish(warehouse), publish(warehouse)
    with second.database.open("ab") as file:
        file.write(b"x")
    candidate = warehouse.begin()
    with pytest.raises(ReleaseDamaged, match="the next build has made everything anew"):
        candidate.take_over(second)
    second.database.unlink()
    with pytest.raises(ReleaseDamaged):
        candidate.take_over(second)
    assert warehouse.roll_back() == first
    assert publish(warehouse).manifest.parent == first.id

    (warehouse.root / "current").unlink()
    assert publish(warehouse).manifest.parent is None


def test_without_its_link_a_release_is_found_again_by_hand(warehouse: Warehouse) -> None:
    _, second, _ = publish(warehouse), publish(warehouse), publish(warehouse)
    warehouse.roll_back()
    (warehouse.root / "current").unlink()
    with pytest.raises(NoRelease, match=rf"\(liftoff rollback {second.id}\)"):
        warehouse.current()
    assert warehouse.roll_back(second.id) == second == warehouse.current()


def test_a_release_whose_folder_is_gone_is_a_damaged_one(warehouse: Warehouse) -> None:
    first, second = publish(warehouse), publish(warehouse)
    shutil.rmtree(second.path)
    with pytest.raises(ReleaseDamaged):
        warehouse.release(second.id).manifest  # noqa: B018 - a property that reads
    assert warehouse.releases() == [first]
    assert warehouse.roll_back(first.id) == warehouse.current()


def test_a_release_that_does_not_say_any_more_what_it_is_stands_in_nobodys_way(warehouse: Warehouse) -> None:
    first, second, third = (publish(warehouse) for _ in range(3))
    (second.path / "manifest.json").write_text("{")
    assert not Release(second.path).is_intact()
    with pytest.raises(ReleaseDamaged, match=second.id):
        warehouse.roll_back(second.id)
    fourth = publish(warehouse)
    assert (warehouse.current(), fourth.manifest.parent) == (fourth, third.id)
    assert not first.path.exists(), "three are kept"


def test_a_release_of_before_there_were_semantic_manifests_is_shown_again(warehouse: Warehouse) -> None:
    first = publish(warehouse)
    publish(warehouse)
    first.semantic_manifest.unlink()
    write_json(first.path / "manifest.json", dataclasses.replace(first.manifest, semantic_manifest_sha256=""))
    assert warehouse.roll_back() == first


def test_a_release_holds_nothing_of_its_build(warehouse: Warehouse) -> None:
    candidate = build(warehouse)
    candidate.scratch.touch()
    candidate.inputs.mkdir()
    release = warehouse.publish(candidate, manifest(candidate))
    assert sorted(path.name for path in release.path.glob("*")) == [
        "begun.json",
        "gate_report.html",
        "gate_report.json",
        "liftoff.duckdb",
        "manifest.json",
        "semantic_manifest.json",
    ]


def test_a_refused_candidate_is_kept_out_of_sight_and_its_id_says_so(warehouse: Warehouse) -> None:
    candidates = [build(warehouse, passed=False) for _ in range(5)]
    kept = [warehouse.reject(candidate) for candidate in candidates]
    assert [path.exists() for path in kept] == [False, False, True, True, True]
    with pytest.raises(LiftoffError, match="failed its audit"):
        warehouse.candidate(candidates[-1].id)
    assert warehouse.releases() == []


def test_a_reader_keeps_its_release_while_another_is_published(warehouse: Warehouse) -> None:
    first = publish(warehouse)
    with duckdb.connect(str(warehouse.current().database), read_only=True) as reader:
        for _ in range(4):
            publish(warehouse)
        assert reader.execute("select id from t").fetchall() == [(first.id,)]


def test_ids_made_one_after_another_sort_by_time() -> None:
    stamps = [new_id().split("-")[0] for _ in range(50)]
    assert stamps == sorted(stamps)


def test_what_was_recorded_is_queryable_with_types(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    outcome = Outcome("i", "events", "events", DAY, "failed", now(), reason="truncated", warnings=("one", "two"))
    meta.record(settings.lake_dir, "ingest", [outcome])
    meta.record(settings.lake_dir, "build", [{"build_id": "b", "status": "published", "restated_dates": [DAY]}])
    with connect(settings) as connection:
        meta.load(connection, settings.lake_dir)
        assert connection.execute("select day, reason, warnings from meta.ingest").fetchall() == [
            (DAY, "truncated", ["one", "two"])
        ]
        assert connection.execute("select restated_dates from meta.build").fetchall() == [([DAY],)]
        assert connection.execute("select count(*) from meta.check_result").fetchall() == [(0,)]


def test_a_file_that_a_killed_run_left_half_written_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("storage.files.replace", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            meta.record(settings.lake_dir, "build", [{"build_id": "b"}])
    (left,) = (settings.lake_dir / "meta" / "build").iterdir()
    left.write_text('{"build_id": ')
    with connect(settings) as connection:
        meta.load(connection, settings.lake_dir)
        assert connection.execute("select count(*) from meta.build").fetchall() == [(0,)]


def test_a_setting_that_cannot_be_used_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTOFF_RELEASES_KEPT", "none")
    with pytest.raises(LiftoffError, match=r"LIFTOFF_RELEASES_KEPT.*'none'"):
        load_settings()


def test_the_salt_is_made_once_and_kept_private(tmp_path: Path) -> None:
    salt = Settings(data_dir=tmp_path).salt()
    assert len(salt) == 64
    assert Settings(data_dir=tmp_path).salt() == salt
    assert (tmp_path / "secret_salt").stat().st_mode & 0o777 == 0o600
