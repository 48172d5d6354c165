"""The command line as a person or a script meets it: in a process of its own."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from quality.page import page_of
from simulator.logs import write_day
from storage.days import DAY, yesterday
from storage.settings import PROJECT_DIR, load_settings
from storage.warehouse import DATABASE
from tests.launch import LAUNCH, Loaded, NewPlatform, Platform, Source, day

PAGES = [PROJECT_DIR / "README.md", *sorted((PROJECT_DIR / "docs").rglob("*.md"))]
LEAST_COMMANDS = {PAGES[0]: 8, PROJECT_DIR / "docs/lifecycle.md": 8, PROJECT_DIR / "docs/experiments.md": 2}
LIFTOFF = Path(sys.executable).with_name("liftoff")


def liftoff(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LIFTOFF, *arguments],
        env={**os.environ, "COLUMNS": "120", **settings},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def answer(*arguments: str) -> Any:
    done = liftoff(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Published:
    """An installation that has published twice, the second time by command, and what the command said."""

    data_dir: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def published(source: Source, loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("cli") / "data"
    shutil.copytree(loaded((0, 1)), folder, symlinks=True)
    done = liftoff("run", "--start", str(day(2)), "--end", str(day(2)), LIFTOFF_DATA_DIR=str(folder), **source.settings)
    assert done.returncode == 0, done.stderr
    return Published(folder, done)


@pytest.fixture
def installed(published: Published, new_platform: NewPlatform) -> Platform:
    """A copy of it for each test."""
    return new_platform("copy", published.data_dir)


def test_a_window_is_run_through_the_real_dag_and_reported_line_by_line_without_a_terminal(
    installed: Platform, published: Published
) -> None:
    done = published.done
    assert installed.current().manifest.last_date == day(2)
    assert installed.current().id in done.stdout
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("✓")][-3:] == [
        "✓ Building models and testing them",
        "✓ Auditing the marts",
        "✓ Publishing",
    ]
    assert "\x1b" not in done.stdout + done.stderr, "no terminal, no escape codes"
    assert "airflow" not in done.stderr.lower(), "Airflow's own output belongs into its log"
    (log,) = (installed.data_dir / "logs").glob("load_window-*.log")
    assert "DagRun Finished" in log.read_text()


def test_a_damaged_day_ends_with_3_and_names_checks_rows_and_what_readers_see(
    installed: Platform, source: Source, tmp_path: Path
) -> None:
    before = installed.current()
    write_day(source.product, day(3), tmp_path / "events", damaged=True)
    done = liftoff("run", "--start", str(day(3)), "--end", str(day(3)), LIFTOFF_EVENTS_DIR=str(tmp_path / "events"))
    assert done.returncode == 3
    assert done.stderr.startswith("Blocked.")
    assert "hours_present" in done.stderr
    assert "12 of 24 hours" in done.stderr
    assert "null_user_share" in done.stderr
    assert before.id in done.stderr
    assert "Traceback" not in done.stderr
    example = re.search(r"device_id=(\w+)", done.stderr)
    assert example, "a blocked share shows a row"
    logged = "".join(path.read_text() for path in (tmp_path / "events").glob("**/*.jsonl"))
    assert example.group(1) not in logged
    assert re.fullmatch(r"[0-9a-f]{12}", example.group(1)), "shown as a keyed hash"
    assert installed.current() == before
    assert list((installed.data_dir / "lake" / "rejected").glob("*/gate_report.json"))
    status = answer("status")
    assert [(row["day"], row["status"]) for row in status["days not accepted"]] == [(str(day(3)), "rejected")]


def test_a_day_without_files_ends_with_1_and_names_the_day_and_the_folder(installed: Platform) -> None:
    before = installed.current()
    done = liftoff("run", "--start", "2026-09-01", "--end", "2026-09-01")
    assert done.returncode == 1
    assert "2026-09-01" in done.stderr
    assert "Traceback" not in done.stderr
    assert installed.current() == before


def test_a_missing_day_ends_with_3_and_can_be_allowed(installed: Platform) -> None:
    arguments = ["run", "--start", str(day(4)), "--end", str(day(4))]
    done = liftoff(*arguments)
    assert done.returncode == 3
    assert str(day(3)) in done.stderr
    assert liftoff(*arguments, "--allow-gap").returncode == 0
    assert installed.current().manifest.gap_dates == (day(3),)
    (row,) = answer("query", f"from mart_active_users_daily where activity_date = date '{day(3)}'")
    assert row["is_gap"] is True
    assert row["active_users"] is None
    assert str(day(3)) in liftoff("status").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--start", "2026-01-09", "--end", "2026-01-05"), "ends (2026-01-05) before it starts"),
        (("run", "--start", "yesterday"), "yesterday"),
        (("query", "fro mart"), "syntax error"),
        (("query", "create table t as select 1"), "read-only"),
        (("query", "--landed", "from events.nothing"), "What landed cannot answer that"),
        (("metrics", "query", "--metrics", "actve_users"), "did you mean active_users"),
        (("profile", "--table", "nothing"), "No table nothing has landed"),
        (("no-such-command",), "No such command"),
        (("quarantine", "replay", "--table", "payments"), "liftoff quarantine list --table payments"),
        (("quarantine", "replay", "--reason", "bad_luck"), "not one of"),
        (
            ("quarantine", "replay", "--start", "2026-01-09", "--end", "2026-01-05"),
            "ends (2026-01-05) before it starts",
        ),
        (("simulate", "--story", "tragedy"), "There is no story"),
        (("simulate", "--start", "2025-12-31", "--end", "2025-12-31"), "launch"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(installed: Platform, arguments: tuple[str, ...], said: str) -> None:
    assert installed.current()
    done = liftoff(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_used_is_an_error_for_people() -> None:
    done = liftoff("status", LIFTOFF_RELEASES_KEPT="none")
    assert done.returncode == 1
    assert "LIFTOFF_RELEASES_KEPT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("file", ["liftoff.duckdb", "semantic_manifest.json"])
def test_a_damaged_release_is_named_by_whatever_reads_it(file: str, installed: Platform) -> None:
    damaged = installed.current()
    commands = ["query|select count(*) from fct_session", "docs"] if file == DATABASE else ["metrics|list"]
    for content in (b"torn", None):
        (damaged.path / file).write_bytes(content) if content else (damaged.path / file).unlink()
        for command in [*commands, "metrics|query|--metrics|active_users", "doctor"]:
            done = liftoff(*command.split("|"))
            assert f"Release {damaged.id} is not what was published any more" in done.stdout + done.stderr, command
            assert "Traceback" not in done.stderr, command
    for command in ("status", "releases"):
        assert liftoff(command).returncode == 0


def test_an_empty_installation_says_where_to_start() -> None:
    commands = "status|releases|report|query 1|query --landed 1|metrics list|docs|rollback|profile"
    for command in map(str.split, commands.split("|")):
        done = liftoff(*command)
        assert "liftoff run" in done.stdout + done.stderr
    assert "load_window" in liftoff("status").stdout, "in a container, the DAG is the way"
    assert "No such record" in liftoff("quarantine", "list").stdout


def test_the_tracking_plan_is_a_page_that_needs_no_release(data_dir: Path) -> None:
    done = liftoff("tracking-plan")
    assert done.returncode == 0, done.stderr
    page = data_dir / "docs" / "tracking-plan.html"
    assert str(page) in "".join(done.stdout.split("\n"))
    assert "playback_heartbeat" in page.read_text()


def test_status_and_releases_say_the_same_to_people_and_machines(installed: Platform) -> None:
    status, releases = answer("status"), answer("releases")
    assert status["release"]["release_id"] == installed.current().id
    assert [row["is_current"] for row in releases] == [True, False]
    landed = {row["source"]: row for row in status["landed"]}
    assert {"events", "warehouse.payments", "world_bank.countries", "fx.rates"} <= landed.keys()
    assert landed["events"]["last_day"] == str(day(2))
    for row in status["landed"]:
        assert row["read"] == row["accepted"] + row["quarantined"] + row["duplicates"], row
    assert installed.current().id in liftoff("status").stdout
    assert installed.current().id in liftoff("releases").stdout


def test_each_release_leads_to_its_report_and_the_report_to_its_release(installed: Platform) -> None:
    release = installed.current()
    assert f"liftoff report {release.id}" in liftoff("status").stdout
    shown = Path(liftoff("report", release.id).stdout.strip())
    assert shown == release.path / "gate_report.html"
    found = answer("report", release.id)
    assert found["gate_id"] == answer("status")["release"]["gate_id"]
    assert found["passed"] is True
    audited = Path(liftoff("report", found["gate_id"]).stdout.strip())
    assert audited == installed.data_dir / "lake" / "reports" / f"{found['gate_id']}.html"
    assert audited.read_bytes() == shown.read_bytes()
    assert "<svg" in shown.read_text(), "the second build has a history"
    assert found["subject"] in shown.read_text()
    assert f"Readers see it: release {release.id}" in (page_of(load_settings(), found["gate_id"]) or "")
    checks = f"select count(*) as n from meta.check_result where gate_id = '{answer('report')['gate_id']}'"
    assert answer("query", checks) == [{"n": 0}], "the audit of a release is asked of the next one"
    assert "no report of x" in liftoff("report", "x").stderr


def test_a_wide_answer_is_shown_one_value_a_line_and_nothing_is_cut(installed: Platform) -> None:
    assert installed.current()
    done = liftoff("query", "from fct_session limit 1", COLUMNS="60")
    (row,) = answer("query", "from fct_session limit 1")
    for name in row:
        assert name in done.stdout


def test_what_landed_is_asked_as_it_came_with_its_day(installed: Platform) -> None:
    landed = {row["source"]: row for row in answer("status")["landed"]}
    (row,) = answer("query", "--landed", "select count(*) as lines, count(distinct dt) as days from events.events")
    assert row == {"lines": landed["events"]["accepted"], "days": landed["events"]["days"]}
    names = "select table_schema || '.' || table_name as name from information_schema.tables"
    assert {row["name"] for row in answer("query", "--landed", names)} == {"events.events", *landed} - {"events"}
    assert installed.current().is_intact()


def test_what_the_sources_send_is_profiled_in_few_lines_and_as_a_page(installed: Platform) -> None:
    done = liftoff("profile", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    landed = {row["source"].rpartition(".")[2]: row for row in answer("status")["landed"]}
    for table, row in landed.items():
        if row["days"] == 3:
            assert re.search(rf"^{table} +{row['accepted']:,} +3 ", done.stdout, re.MULTILINE), table
    assert re.search(r"^account_changes .* change_id *$", done.stdout, re.MULTILINE), "the key"
    assert "region_name has spaces around its values" in done.stdout
    (page,) = (installed.data_dir / "lake" / "profiles").glob("*.html")
    assert str(page) in last, "in one piece, to be copied"

    (only,) = answer("profile", "--start", str(day(1)), "--end", str(day(1)), "--table", "events")["tables"]
    assert [one["day"] for one in only["days"]] == [str(day(1))]


def test_metrics_are_listed_and_asked_for_by_name(installed: Platform) -> None:
    listed = liftoff("metrics", "list").stdout
    assert "user_day__platform" in listed
    assert "Crash-free sessions" in listed
    published = answer("query", "select active_users from mart_active_users_daily order by activity_date desc")
    narrowed = ["--group-by", "metric_time", "--order", "-metric_time", "--end", str(day(1))]
    asked = answer("metrics", "query", "--metrics", "active_users", *narrowed)
    assert [row["metric_time__day"] for row in asked] == [str(day(1)), str(LAUNCH)]
    assert [row["active_users"] for row in asked] == [row["active_users"] for row in published[1:]]
    assert installed.current().is_intact()


def test_a_rollback_shows_the_release_before(installed: Platform) -> None:
    newest, before = installed.warehouse.releases()
    assert before.id in liftoff("rollback").stdout
    assert installed.current() == before
    assert newest.id in liftoff("rollback", newest.id).stdout
    assert "not kept any more" in liftoff("rollback", "20200101T000000000Z-0000").stderr


def test_quarantine_lists_reasons_and_lines(installed: Platform) -> None:
    assert installed.current()
    found = answer("quarantine", "list", "--limit", "3")
    assert {"wrong_type", "not_json"} <= {row["reason"] for row in found["counts"]}
    assert len(found["records"]) == 3
    only = answer("quarantine", "list", "--reason", "not_json", "--day", str(day(1)))
    assert {(row["reason"], row["day"]) for row in only["records"]} == {("not_json", str(day(1)))}
    assert "not_json" in liftoff("quarantine", "list").stdout
    assert answer("quarantine", "list", "--source", "fx") == {"counts": [], "records": []}
    narrowed = answer("quarantine", "list", "--source", "events", "--event", "playback_heartbeat", "--version", "1")
    named = {(row["event_name"], row["schema_version"]) for row in [*narrowed["counts"], *narrowed["records"]]}
    assert named == {("playback_heartbeat", "1")}
    wide = [line for line in liftoff("quarantine", "list", COLUMNS="80").stdout.splitlines() if "  events " in line]
    assert len(wide) > 5, "a table, and not a value a line"


def test_a_replay_of_what_is_still_refused_builds_nothing_and_says_so(installed: Platform) -> None:
    before = installed.current()
    rows = answer("quarantine", "replay", "--dry-run")
    assert {"wrong_type", "not_json"} <= {row["reason"] for row in rows}
    assert not sum(row["accepted"] for row in rows)
    narrowed = answer("quarantine", "replay", "--reason", "not_json", "--end", str(day(1)))
    assert {row["reason"] for row in narrowed} == {"not_json"}
    assert {row["day"] for row in narrowed} <= {str(day(0)), str(day(1))}
    done = liftoff("quarantine", "replay")
    assert done.returncode == 0, done.stderr
    assert "Nothing new is accepted" in done.stdout
    assert before.id in done.stdout
    assert installed.current() == before
    assert "Nothing to replay" in liftoff("quarantine", "replay", "--dry-run", "--start", str(day(9))).stdout


def test_doctor_finds_nothing_wrong_with_a_good_installation(installed: Platform) -> None:
    done = liftoff("doctor")
    assert done.returncode == 0, done.stdout
    assert "problem" not in done.stdout
    assert installed.current().id in done.stdout.replace("\n", "")


def test_doctor_finds_a_release_that_was_tampered_with_and_says_what_to_do(installed: Platform) -> None:
    with installed.current().database.open("ab") as file:
        file.write(b"x")
    done = liftoff("doctor")
    assert done.returncode == 1
    assert "liftoff rollback" in done.stdout


def test_doctor_names_what_it_cannot_reach_and_only_warns_of_services(installed: Platform) -> None:
    assert installed.current()
    nowhere = {f"LIFTOFF_{service}_URL": "http://127.0.0.1:9" for service in ("WORLD_BANK", "FX")}
    done = liftoff("doctor", **nowhere)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("warning") == 2
    assert "problem" not in done.stdout
    assert "LIFTOFF_FX_URL" in done.stdout

    password = "hush-hush"  # noqa: S105
    done = liftoff("doctor", LIFTOFF_WAREHOUSE_URI=f"postgresql://reader:{password}@127.0.0.1:9/upstream")
    assert done.returncode == 1
    assert "LIFTOFF_WAREHOUSE_URI" in done.stdout
    assert password not in done.stdout + done.stderr


def test_doctor_knows_where_alerts_go_and_never_says_the_address(installed: Platform) -> None:
    assert installed.current()
    for address, said in {"": "is empty", "https://h/s3cret": "go to JSON", "nowhere://s3cret": "go nowhere"}.items():
        done = liftoff("doctor", LIFTOFF_ALERT_WEBHOOK=address)
        assert said in done.stdout
        assert "s3cret" not in done.stdout + done.stderr
        assert done.returncode == 0, "the platform runs without"


def test_doctor_notices_an_address_that_is_another_service(installed: Platform, source: Source) -> None:
    assert installed.current()
    found = {row["what"]: row for row in json.loads(liftoff("doctor", "--json").stdout)}
    assert found["World Bank"]["found"] == f"{source.services_url} answers"
    elsewhere = liftoff("doctor", LIFTOFF_WORLD_BANK_URL=f"{source.services_url}/v1")
    assert "status 404" in elsewhere.stdout


def test_simulated_logs_are_those_of_the_same_day_simulated_alone(data_dir: Path, source: Source) -> None:
    arguments = ["--users", "2500", "--seed", "11", "--story", "full"]
    assert liftoff("simulate", "--start", str(LAUNCH), "--end", str(day(1)), *arguments).returncode == 0
    assert liftoff("simulate", "--start", str(day(5)), "--end", str(day(5))).returncode == 0
    for name in (str(LAUNCH), str(day(5))):
        ours = sorted((data_dir / "source" / "events" / name).glob("*"))
        theirs = sorted((source.events_dir / name).glob("*"))
        assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]
    other = liftoff("simulate", "--users", "9000")
    assert other.returncode == 2
    assert "users 2500, not 9000" in other.stderr


def test_the_business_is_simulated_with_the_logs_and_what_is_missing_is_mended(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = yesterday() - DAY
    warehouse = data_dir / "source" / "warehouse.duckdb"
    monkeypatch.setenv("LIFTOFF_LAUNCH_DATE", str(launch))
    done = liftoff("simulate", "--users", "500", "--end", str(launch))
    assert done.returncode == 0, done.stderr
    assert "changes of accounts, subscriptions and payments" in " ".join(done.stdout.split())
    assert "No day" not in liftoff("simulate", "--missing").stdout
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        days = "select distinct changed_at::date from business.account_changes order by 1"
        assert connection.execute(days).fetchall() == [(launch,), (yesterday(),)]
    assert "No day is missing" in liftoff("simulate", "--missing").stdout
    warehouse.unlink()
    assert liftoff("simulate", "--missing").returncode == 0
    assert "No day is missing" in liftoff("simulate", "--missing").stdout

    with duckdb.connect(str(warehouse), read_only=True):
        for arguments in (["--missing"], ["--start", str(launch), "--end", str(launch)]):
            busy = liftoff("simulate", *arguments)
            assert busy.returncode == 1
            assert "in use by another process" in busy.stderr
            assert "Traceback" not in busy.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_docs_works(installed: Platform, page: Path) -> None:
    assert installed.current()
    text = page.read_text()
    commands = [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) >= LEAST_COMMANDS.get(page, 0)
    makefile = (PROJECT_DIR / "Makefile").read_text()
    for command in commands:
        words = shlex.split(command)
        if words[:2] == ["docker", "compose"]:
            continue  # tests/compose runs it
        if words[0] == "make":
            assert f"\n{words[1]}:" in makefile, f"{command}: the Makefile has no such target"
            continue
        assert words[0] == ".venv/bin/liftoff", f"{command}: teach this test to run it"
        done = liftoff(*words[1:])
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    for target in re.findall(r"`make (\w+)`", text):
        assert f"\n{target}:" in makefile, f"make {target}: the Makefile has no such target"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_the_docs_leads_somewhere(page: Path) -> None:
    for path in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text()):
        assert (page.parent / path).exists(), f"{page.name} links to {path}"
