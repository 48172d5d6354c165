"""The container platform from nothing to nothing: one story, each test a step that builds on those before it."""

import json
import re
import shlex
import subprocess
import time
from collections import Counter
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from storage.settings import PROJECT_DIR
from tests.compose.browser import Ui
from tests.compose.conftest import Figures
from tests.compose.stack import (
    AIRFLOW,
    BASE_IMAGE,
    ENDED,
    IMAGE,
    INGESTS,
    ONE_SHOTS,
    SERVERS,
    THIRD_PARTY,
    Airflow,
    Stack,
    docker,
    seconds_of,
    wait_for,
    watching_memory,
)

TO_BECOME_ANOTHER_USER = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
DAGS = {path.stem for path in (PROJECT_DIR / "dags").rglob("*.py")}
SIMULATED_DAYS = 60

# Tries to write as the reader of the upstream warehouse, first as the role is, then after it has said that it may.
WRITE_UPSTREAM = """
import json, psycopg
uri = open("/secrets/liftoff_warehouse_uri").read()
refused = {}
for statement in (
    "create table business.mine (n int)",
    "create table public.mine (n int)",
    "create temporary table mine (n int)",
    "insert into business.theirs values (2)",
    "update business.theirs set n = 2",
    "delete from business.theirs",
    "drop table business.theirs",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'mine')",
):
    for claim in ("", "set transaction read write;"):
        try:
            with psycopg.connect(uri) as connection:
                connection.execute(claim + statement)
            refused[claim + statement] = "not refused"
        except psycopg.Error as error:
            refused[claim + statement] = type(error).__name__
with psycopg.connect(uri) as connection:
    seen = connection.execute("select n from business.theirs").fetchall()
print(json.dumps({"refused": refused, "seen": seen}))
"""


@pytest.fixture
def yesterday(today: date) -> date:
    return today - timedelta(days=1)


@pytest.fixture
def tomorrow(today: date) -> date:
    return today + timedelta(days=1)


@pytest.mark.timeout(1200)
def test_the_image_is_built_from_nothing(stack: Stack, figures: Figures) -> None:
    figures["cold_build_seconds"] = stack.build("--no-cache")
    figures["warm_build_seconds"] = warm = stack.build()
    (image,) = docker("image", "inspect", IMAGE)
    figures["image_megabytes"] = image["Size"] / 1e6
    assert image["Config"]["User"] == "liftoff", "our services would run as root"
    assert warm < 20, "an unchanged lock must not build anything again"
    (base,) = docker("image", "inspect", BASE_IMAGE)
    figures["base_images"] = "stand-in" if "standin" in (base["Config"]["Labels"] or {}) else "official"


def test_up_builds_an_image_that_is_not_there(stack: Stack) -> None:
    subprocess.run(["docker", "image", "rm", IMAGE], check=True, capture_output=True)
    stack.compose("up", "--no-start", seconds=300)
    assert docker("image", "inspect", IMAGE)


@pytest.mark.timeout(400)
def test_up_returns_when_every_service_is_healthy(stack: Stack, figures: Figures, today: date) -> None:
    figures["up_seconds"] = stack.up()
    found = stack.containers()
    assert found.keys() == ONE_SHOTS | SERVERS | AIRFLOW | {THIRD_PARTY}
    for name, container in found.items():
        state = container["State"]
        if name in ONE_SHOTS:
            assert (state["Status"], state["ExitCode"]) == ("exited", 0), name
        else:
            assert (state["Status"], state["Health"]["Status"]) == ("running", "healthy"), name
    assert _launch(stack) == str(today - timedelta(days=SIMULATED_DAYS))


def test_no_container_can_do_more_than_it_must(stack: Stack, figures: Figures) -> None:
    limits = {}
    for name, container in stack.containers().items():
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not host["Privileged"], name
        assert not [mount for mount in container["Mounts"] if mount["Type"] == "bind" and mount["RW"]], name
        published = [binding["HostIp"] for bound in host["PortBindings"].values() for binding in bound]
        assert published == (["127.0.0.1"] if name == "api-server" else []), name
        assert host["Memory"], f"{name} has no memory limit"
        if name in SERVERS:
            assert sorted(host["CapAdd"]) == TO_BECOME_ANOTHER_USER, name
        else:
            assert container["Config"]["User"] == "liftoff", f"{name} would run as root"
            assert host["ReadonlyRootfs"], name
            assert not host["CapAdd"], name
        if name not in ONE_SHOTS:
            limits[name] = host["Memory"] / 2**20
    limits["all"] = sum(limits.values())
    figures |= {f"limit_{name}_mebibytes": limit for name, limit in limits.items()}
    assert limits["all"] < 2.5 * 1024, "it has to leave room on a laptop of 8 GB"


def test_no_secret_is_in_an_environment_or_a_command(stack: Stack) -> None:
    secrets = stack.secrets()
    assert len(secrets) >= 8
    for name, container in stack.containers().items():
        shown = json.dumps([container["Config"]["Env"], container["Config"]["Cmd"], container["Args"]])
        assert not [secret for secret, word in secrets.items() if word in shown], name


def test_without_login_there_is_nothing_to_see(stack: Stack) -> None:
    for path in ("/api/v2/dags", "/api/v2/dags/load_window/dagRuns", "/gate/"):
        assert httpx.get(stack.url + path).status_code == 401, path
    assert httpx.get(f"{stack.url}/api/v2/monitor/health").status_code == 200
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        Airflow.log_in(stack.url, "admin")


def test_the_generated_password_leads_to_all_dags(airflow: Airflow) -> None:
    dags = airflow.get("dags")["dags"]
    assert {dag["dag_id"] for dag in dags} == DAGS
    assert not [dag["dag_id"] for dag in dags if dag["is_paused"]]
    for errors in ("importErrors", "plugins/importErrors"):
        assert airflow.get(errors)["total_entries"] == 0, errors


def test_the_upstream_warehouse_can_only_be_read(stack: Stack) -> None:
    owner = ("psql", "-h", "127.0.0.1", "-U", "upstream", "-v", "ON_ERROR_STOP=1", "-c")
    password = stack.run_in("upstream", "cat", "/run/secrets/password")
    as_owner = ("env", f"PGPASSWORD={password}", *owner)
    stack.run_in("upstream", *as_owner, "create table business.theirs as select 1 as n")
    tried = json.loads(stack.run_in("scheduler", "python", "-c", WRITE_UPSTREAM))
    stack.run_in("upstream", *as_owner, "drop table business.theirs")
    assert tried["seen"] == [[1]]
    for statement, refusal in tried["refused"].items():
        by_right = statement.startswith("set transaction") or "lo_" in statement
        assert refusal == ("InsufficientPrivilege" if by_right else "ReadOnlySqlTransaction"), statement


def test_every_source_is_there_and_can_be_read(stack: Stack, yesterday: date) -> None:
    findings = {finding["what"]: finding for finding in stack.liftoff("doctor")}
    assert not [finding for finding in findings.values() if finding["remedy"]]
    assert findings["Upstream warehouse"]["found"].endswith("upstream shows 7 tables")
    for service in ("World Bank", "Exchange rates"):
        assert findings[service]["found"] == f"http://{THIRD_PARTY}:8090 answers"
    days = stack.account_changes()
    assert (min(days), max(days), len(days)) == (_launch(stack), str(yesterday), SIMULATED_DAYS)


def test_a_build_before_the_first_load_is_skipped_and_says_what_to_run(airflow: Airflow, today: date) -> None:
    run_id = airflow.succeed("build_marts")
    assert set(airflow.states("build_marts", run_id).values()) == {"skipped"}
    assert "load_window" in airflow.log("build_marts", run_id, "prepare")

    day = today - timedelta(days=10)
    for dag_id in INGESTS:
        airflow.succeed(dag_id, partition_key=str(day))
    (run,) = _builds_of(airflow, [day])
    assert set(airflow.states("build_marts", run["dag_run_id"]).values()) == {"skipped"}
    assert "run load_window first" in airflow.log("build_marts", run["dag_run_id"], "prepare")


def test_the_ui_tells_what_each_dag_does(airflow: Airflow, ui: Ui) -> None:
    ui.open("dags")
    for dag in airflow.get("dags")["dags"]:
        assert ui.description_of(dag["dag_id"]) == dag["description"]
        assert sorted(ui.tags_of(dag["dag_id"])) == sorted(tag["name"] for tag in dag["tags"])


@pytest.mark.timeout(600)
def test_the_empty_form_of_load_window_publishes_the_first_release(
    stack: Stack, airflow: Airflow, ui: Ui, figures: Figures, yesterday: date
) -> None:
    form = ui.open_form("load_window")
    for name in ("First day", "Last day"):
        expect(form.get_by_text(name, exact=True)).to_be_visible()
    expect(form.locator("input[type=date]")).to_have_count(2)
    for meaning in ("Empty: the day of the launch.", "Empty: yesterday."):
        expect(form.get_by_text(meaning)).to_be_visible()
    ui.picture("load-window-form", form)
    with watching_memory() as peaks:
        run_id = ui.submit(form)
        run = airflow.wait("load_window", run_id, seconds=400)
    assert run["state"] == "success", airflow.states("load_window", run_id)
    figures["load_60_days_seconds"] = seconds_of(run)
    figures |= {f"peak_{name}_mebibytes": peak for name, peak in peaks.items()}
    assert peaks.keys() == SERVERS | AIRFLOW | {THIRD_PARTY, "all"}

    assert stack.release()["last_date"] == str(yesterday)
    counts = "select count(distinct activity_date) as days, min(activity_date) as first from mart_active_users_daily"
    assert stack.liftoff("query", counts) == [{"days": SIMULATED_DAYS, "first": _launch(stack)}]
    expect(ui.open_graph(f"dags/load_window/runs/{run_id}").filter(has_text="success")).to_have_count(7)
    ui.picture("load-window-graph")


def test_every_published_value_equals_what_can_be_known(stack: Stack, figures: Figures) -> None:
    verdicts = stack.verdicts()
    assert verdicts.keys() >= {"retention_daily", "accounts_daily", "revenue_daily", "country_indicators"}
    for name, (compared, differing) in verdicts.items():
        assert compared > 0, name
        assert not differing, f"{name}:\n{differing}"
    figures["values_compared_count"] = sum(compared for compared, _ in verdicts.values())


def test_a_day_is_built_once_when_all_three_sources_have_landed(stack: Stack, airflow: Airflow, today: date) -> None:
    assert str(today) not in stack.account_changes()
    airflow.succeed("simulate_day", day=str(today))
    assert stack.account_changes()[str(today)] > 0
    *first, last = INGESTS
    for dag_id in first:
        airflow.succeed(dag_id, partition_key=str(today))
    time.sleep(10)
    assert not airflow.runs("build_marts", today), "one source has not landed yet"
    airflow.succeed(last, partition_key=str(today))
    (run,) = _builds_of(airflow, [today])
    assert set(airflow.states("build_marts", run["dag_run_id"]).values()) == {"success"}
    assert stack.release()["last_date"] == str(today)


@pytest.mark.timeout(600)
def test_a_backfill_of_three_days_restates_them_and_starts_one_build_each(
    stack: Stack, airflow: Airflow, today: date
) -> None:
    days = [today - timedelta(days=number) for number in (22, 21, 20)]
    release, accepted = stack.release()["release_id"], stack.accepted(days)
    stack.forget(*days)
    backfills = [
        airflow.post(
            "backfills",
            dag_id=dag_id,
            from_date=f"{days[0]}T00:00:00Z",
            to_date=f"{days[-1]}T23:59:59Z",
            max_active_runs=1,
            reprocess_behavior="completed",
        )["id"]
        for dag_id in INGESTS
    ]
    wait_for("the end of the backfills", lambda: all(_is_completed(airflow, one) for one in backfills), seconds=300)
    assert {run["state"] for run in _builds_of(airflow, days)} == {"success"}
    restated = {
        day for later in stack.liftoff("releases") if later["release_id"] > release for day in later["restated_dates"]
    }
    assert restated >= set(map(str, days))
    assert stack.accepted(days) == {day: rows + 1 for day, rows in accepted.items()}


@pytest.mark.timeout(400)
def test_a_damaged_day_is_blocked_and_readers_keep_their_release(
    stack: Stack, airflow: Airflow, ui: Ui, tomorrow: date
) -> None:
    before = stack.release()
    airflow.succeed("simulate_day", day=str(tomorrow), damaged=True)
    run_id = airflow.trigger("load_window", start=str(tomorrow), end=str(tomorrow))
    assert airflow.wait("load_window", run_id)["state"] == "failed"
    states = airflow.states("load_window", run_id)
    assert [states[f"land_{source}"] for source in ("events", "extracts", "market_data")] == [
        "failed",
        "success",
        "success",
    ]
    verdict = f"Landing of events {tomorrow} was blocked"
    said = airflow.log("load_window", run_id, "land_events")
    for part in (verdict, "hour", "user_id", f"Readers see release {before['release_id']}"):
        assert part in said, said
    assert stack.release() == before
    assert verdict in airflow.client.get("/gate/").text

    expect(ui.open_log("load_window", run_id, "land_events").get_by_text(verdict).first).to_be_visible()
    ui.picture("blocked-log")
    (view,) = next(
        plugin["external_views"] for plugin in airflow.get("plugins")["plugins"] if plugin["name"] == "gate_report"
    )
    expect(ui.follow(view["name"]).get_by_role("heading", name=verdict)).to_be_visible()
    ui.picture("gate-report")


def test_the_same_day_undamaged_is_published(stack: Stack, airflow: Airflow, tomorrow: date) -> None:
    airflow.succeed("simulate_day", day=str(tomorrow))
    airflow.succeed("load_window", start=str(tomorrow), end=str(tomorrow))
    assert stack.release()["last_date"] == str(tomorrow)


def test_a_service_that_fails_is_survived_with_a_warning(stack: Stack, airflow: Airflow) -> None:
    before = stack.release()
    assert "503" in stack.fault("status", "/v1")
    # At a weekend the service has nothing new, and is asked only again for the day of its last landing.
    newest = "select max(day) as day from meta.ingest where source = 'fx' and status = 'accepted'"
    ((day,),) = (row.values() for row in stack.liftoff("query", newest))
    run_id = airflow.succeed("ingest_market_data", start=day, end=day)
    said = airflow.log("ingest_market_data", run_id, "land")
    assert f"Nothing read of rates of {day}" in said
    assert "503" in said
    (stale,) = stack.liftoff("status")["days not accepted"]
    assert (stale["source"], stale["day"], stale["status"]) == ("fx.rates", day, "stale")
    airflow.succeed("load_window", start=day, end=day)
    assert stack.release() == before, "there was nothing new"
    assert "No fault is on" in stack.fault("off")
    airflow.succeed("ingest_market_data", start=day, end=day)
    assert not stack.liftoff("status")["days not accepted"]


@pytest.mark.timeout(600)
def test_a_warehouse_that_is_down_is_named_and_the_retry_reads_it(
    stack: Stack, airflow: Airflow, tomorrow: date
) -> None:
    stack.compose("stop", "upstream")
    run_id = airflow.trigger("load_window", start=str(tomorrow), end=str(tomorrow))

    def state() -> str:
        return airflow.states("load_window", run_id)["land_extracts"]

    wait_for("the failure", lambda: state() == "up_for_retry", seconds=120)
    said = airflow.log("load_window", run_id, "land_extracts")
    assert "The warehouse PostgreSQL upstream/upstream was not" in said
    assert "LIFTOFF_WAREHOUSE_URI" in said
    stack.compose("up", "--detach", "--no-deps", "--wait", "upstream")
    assert airflow.wait("load_window", run_id, seconds=400)["state"] == "success"
    assert airflow.tasks("load_window", run_id)["land_extracts"]["try_number"] == 2
    assert not stack.liftoff("status")["days not accepted"]


def test_what_landed_is_explored_and_what_was_refused_is_tried_again(stack: Stack, airflow: Airflow, ui: Ui) -> None:
    before = stack.release()
    airflow.succeed("explore_sources")
    expect(ui.follow("Sources").get_by_role("heading", name="What the sources send").first).to_be_visible()
    ui.picture("sources")
    airflow.succeed("replay_quarantine")
    assert stack.release() == before, "no contract has changed since the records were refused"


def test_the_ui_shows_how_everything_hangs_together(airflow: Airflow, ui: Ui) -> None:
    ids = {asset["name"]: asset["id"] for asset in airflow.get("assets")["assets"]}
    nodes = ui.open_graph(f"assets/{ids['raw_events']}")
    for name in (*INGESTS, "raw_events", "raw_extracts", "raw_market_data", "build_marts"):
        expect(nodes.filter(has_text=name)).to_be_visible()
    ui.picture("assets")
    nodes = ui.open_graph("dags/build_marts")
    for name in ("prepare", "transform", "audit", "publish"):
        expect(nodes.filter(has_text=name)).to_be_visible()
    ui.picture("build-marts-graph")
    ui.open("dags")
    expect(ui.page.get_by_test_id("latest-run").get_by_role("link")).to_have_count(len(DAGS))
    ui.page.get_by_test_id("dag-card").last.scroll_into_view_if_needed()
    ui.picture("dags")


@pytest.mark.timeout(900)
def test_a_run_whose_scheduler_is_killed_recovers_and_readers_notice_nothing(
    stack: Stack, airflow: Airflow, figures: Figures, today: date
) -> None:
    day = today - timedelta(days=30)
    before, accepted = stack.release()["release_id"], stack.accepted([day])
    stack.forget(day)
    with stack.reading() as answers:
        run_id = airflow.trigger("load_window")
        wait_for(
            "the logs to be read",
            lambda: airflow.states("load_window", run_id)["land_events"] == "running",
            seconds=120,
        )
        time.sleep(5)
        stack.run_in("scheduler", "sh", "-c", "kill -KILL $(cat /proc/1/task/1/children)", check=False)
        assert airflow.states("load_window", run_id)["land_events"] == "running", "it was over before it was killed"
        killed = time.monotonic()  # from here on it is left alone: what is to start again starts by itself
        run = airflow.wait("load_window", run_id, seconds=600)
        figures["recovery_seconds"] = time.monotonic() - killed
        assert run["state"] == "success", airflow.states("load_window", run_id)
        after = wait_for("a reader to see the new release", lambda: answers[-1] != before and answers[-1], seconds=10)
    assert airflow.tasks("load_window", run_id)["land_events"]["try_number"] == 2
    assert stack.accepted([day]) == {str(day): accepted[str(day)] + 1}
    assert len(answers) > 50
    assert list(dict.fromkeys(answers)) == [before, after]
    assert stack.release()["release_id"] == after


@pytest.mark.timeout(600)
def test_a_build_from_the_command_line_beside_one_of_airflow(stack: Stack, airflow: Airflow, today: date) -> None:
    theirs, ours = today - timedelta(days=40), today - timedelta(days=35)
    accepted = stack.accepted([theirs, ours])
    stack.forget(theirs, ours)
    command = ("run", "--rm", "-T", "liftoff", "run", "--start", str(ours), "--end", str(ours))
    cli = stack.start(*command)
    run_id = airflow.trigger("load_window", start=str(theirs), end=str(theirs))
    try:
        _, message = cli.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        cli.kill()
        raise
    run = airflow.wait("load_window", run_id)
    assert 0 in {cli.returncode, int(run["state"] == "failed")}, "one of the two has to win"
    if cli.returncode:
        assert cli.returncode == 1, message
        assert f"readers now see {stack.release()['release_id']}" in message
        stack.compose(*command)
    if run["state"] == "failed":
        said = airflow.log("load_window", run_id, "publish")
        assert f"readers now see {stack.release()['release_id']}" in said
        airflow.succeed("load_window", start=str(theirs), end=str(theirs))
    assert stack.accepted([theirs, ours]) == {day: rows + 1 for day, rows in accepted.items()}


def test_each_landing_has_started_exactly_one_build(airflow: Airflow) -> None:
    def days_of(dag_id: str) -> Counter[str]:
        return Counter(run["partition_key"] for run in airflow.runs(dag_id) if run["partition_key"])

    def are_even() -> bool:
        return all(days_of("build_marts") == days_of(dag_id) for dag_id in INGESTS)

    wait_for("as many builds as landings of each source", are_even, seconds=60)
    assert len(days_of("build_marts")) >= 5


def test_no_secret_is_in_a_log(stack: Stack) -> None:
    logs = stack.compose("logs") + stack.run_in("scheduler", "sh", "-c", "find /data/logs -type f -exec cat {} +")
    assert "Log in as admin" in logs
    assert not [secret for secret, word in stack.secrets().items() if word in logs]


def test_every_command_of_the_readme_works(stack: Stack) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (PROJECT_DIR / "README.md").read_text(), re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in "\n".join(blocks).splitlines()]
    tried = [command[2:] for command in commands if command[:2] == ["docker", "compose"]]
    for how, *words in tried:
        if how in {"exec", "run"}:
            assert stack.compose(how, "-T", *words), words
        else:
            assert how in {"up", "down"}, f"docker compose {how}: teach this test to run it"
    assert {how for how, *_ in tried} == {"up", "down", "exec", "run"}


@pytest.mark.timeout(400)
def test_down_and_up_again_keeps_everything(stack: Stack, airflow: Airflow, figures: Figures) -> None:
    before = _kept(stack, airflow)
    stack.compose("down")
    assert not stack.containers()
    figures["up_again_seconds"] = stack.up()
    assert _kept(stack, Airflow.log_in(stack.url, before["password"])) == before
    assert "No day is missing" in stack.compose("logs", "init")


def test_down_with_volumes_leaves_nothing(stack: Stack) -> None:
    assert stack.volumes()
    stack.compose("down", "--volumes")
    assert not stack.volumes()
    assert not stack.containers()


def _launch(stack: Stack) -> str:
    return stack.run_in("scheduler", "cat", "/secrets/liftoff_launch_date")


def _builds_of(airflow: Airflow, days: list[date]) -> list[dict[str, Any]]:
    """The one build that each of these days has started, when all have ended."""

    def ended() -> list[dict[str, Any]] | None:
        runs = [run for day in days for run in airflow.runs("build_marts", day) if run["state"] in ENDED]
        return runs if len(runs) >= len(days) else None

    runs = wait_for(f"the builds of {', '.join(map(str, days))}", ended, seconds=180)
    assert [run["partition_key"] for run in runs] == list(map(str, days)), "a day has not started exactly one build"
    return runs


def _is_completed(airflow: Airflow, backfill_id: int) -> bool:
    return bool(airflow.get(f"backfills/{backfill_id}")["completed_at"])


def _kept(stack: Stack, airflow: Airflow) -> dict[str, Any]:
    """What has to be there when the containers are not."""
    listing = "cd /data/source/events && ls -l --full-time */* | cut -d ' ' -f 5-"
    return {
        "password": stack.password(),
        "launch": _launch(stack),
        "releases": stack.liftoff("releases"),
        "runs": {dag: {run["dag_run_id"]: run["state"] for run in airflow.runs(dag)} for dag in DAGS},
        "source": stack.run_in("scheduler", "sh", "-c", listing),
        "upstream": stack.account_changes(),
    }
