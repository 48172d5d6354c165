"""What is told to whoever is on call."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from liftoff import alerts, intake, records
from liftoff.plan import Window
from quality.report import CheckResult, Report
from storage.errors import Blocked, LiftoffError
from storage.files import new_id
from storage.lake import Outcome
from storage.settings import load_settings
from storage.warehouse import Begun
from tests.receiver import SECRET, Receiver, receiving

FRIDAY = date(2026, 1, 9)
FAILED = CheckResult(
    "events",
    "null_user_share",
    "failed",
    6.0,
    "must be 0",
    "2026-01-09: tv: 100% of events without user_id",
    (FRIDAY,),
    ({"device_id": "3fa91c0b22d1", "country_code": "GR"},),
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as found:
        monkeypatch.setenv("LIFTOFF_ALERT_WEBHOOK", found.address)
        yield found


def failed(error: BaseException | None, task: str = "load_window.land_events") -> dict[str, Any]:
    """What Airflow hands over when a task has failed."""
    dag_id, task_id = task.split(".")
    return {"task_instance": SimpleNamespace(dag_id=dag_id, task_id=task_id), "exception": error}


def blocked(*failures: CheckResult) -> Blocked:
    """An audit that refused a landing, and its error."""
    report = Report(new_id(), "Landing of events 2026-01-09", datetime.now(UTC), 0.1, failures or (FAILED,) * 2)
    records.keep_audit(load_settings(), report)
    return Blocked(report.text(), gate_id=report.gate_id)


def landed(status: Any, hour: int, source: str = "events", day: date = FRIDAY) -> None:
    """A load of a day and the one before, which lands."""
    time.sleep(0.002)  # records sort by the millisecond
    outcome = Outcome("i", source, source, day, status, datetime(2026, 1, 10, hour, tzinfo=UTC))
    records.keep_landings(load_settings(), [outcome, replace(outcome, day=day - timedelta(1), status="accepted")])


def test_a_block_is_told_with_what_since_when_what_readers_see_and_what_to_do(receiver: Receiver) -> None:
    landed("accepted", 1)
    landed("rejected", 2)
    landed("rejected", 3)
    error = blocked()
    alerts.tell(failed(error))
    (message,) = receiver.messages
    assert message["title"] == "Liftoff: Landing of events 2026-01-09 was blocked: 2 of 2 checks failed."
    assert message["type"] == "failure"
    lines = message["message"].splitlines()
    assert lines[0] == "- events.null_user_share on 2026-01-09: found 6, must be 0"
    where = f"Gate in Airflow's navigation, or liftoff report {error.gate_id}"
    assert lines[2:] == [
        "Since 2026-01-10 02:00 UTC, 2 failed attempts.",
        "Readers see nothing: there is no release.",
        f"First: read what was found ({where}), then docs/runbooks/gate-blocked.md.",
        "DAG load_window, task land_events.",
    ]
    assert "3fa91c0b22d1" not in str(message), "rows stay here"


def test_a_source_that_is_down_is_told_by_the_error_that_the_flow_raised(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTOFF_WAREHOUSE_URI", "postgresql://reader:hush-hush@127.0.0.1:9/upstream")
    for _ in range(2):
        with pytest.raises(intake.LandingFailed) as caught:
            intake.land_extracts(Window(FRIDAY, FRIDAY))
    alerts.tell(failed(caught.value, "ingest_warehouse.land"))
    (message,) = receiver.messages
    assert message["title"].endswith(" …"), "the rest is below"
    assert "of 2026-01-09 could not be read" in message["message"]
    assert "127.0.0.1:9" in message["message"], "who is on call wants to know what is down"
    assert "2 failed attempts" in message["message"]
    assert "First: docs/runbooks/source-late.md." in message["message"]
    assert "hush-hush" not in str(message)


def test_what_airflow_wraps_is_unwrapped(receiver: Receiver) -> None:
    """`run_step` raises Airflow's own error `from None`, so that the log has one traceback less."""
    error = RuntimeError("of Airflow")
    error.__context__ = Blocked("The build was blocked: there is no accepted landing of 2026-01-09.")
    error.__suppress_context__ = True
    alerts.tell(failed(error, "build_marts.prepare"))
    (message,) = receiver.messages
    assert message["title"] == "Liftoff: The build was blocked: there is no accepted landing of 2026-01-09."
    assert "First: docs/runbooks/repair-a-day.md." in message["message"]


def test_a_killed_task_and_an_unexpected_error_are_told_without_what_they_quote(receiver: Receiver) -> None:
    alerts.tell(failed(None))
    alerts.tell(failed(ValueError("could not parse ada@example.org")))
    killed, unexpected = (message["title"] for message in receiver.messages)
    assert "land_events of load_window was killed" in killed
    assert unexpected == "Liftoff: land_events of load_window failed: ValueError. Its log in Airflow has the traceback."
    assert "ada@" not in str(receiver.messages)


@pytest.mark.parametrize("sent", ["Ada King", "ada@example.org", "1.0.0-ada"])
def test_no_value_that_a_client_sent_is_told_whatever_a_check_says_of_it(receiver: Receiver, sent: str) -> None:
    """As a name of an event, as the value that broke a promise, and in what Soda quotes from the database."""
    said = {
        "contract_known": f"2026-01-09: {sent} 1: no contract has this name and version in 3 events",
        "values_known": f"2026-01-09: app_start 1: app_version is not one of 1.0.0 in 1 event, for example {sent}",
        "evaluation": f"Soda could not evaluate all of it: Conversion Error: {sent} is no number",
    }
    row = {"app_version": sent, "problem": said["values_known"]}
    failures = [replace(FAILED, name=name, message=message, samples=(row,)) for name, message in said.items()]
    failures[-1] = replace(failures[-1], outcome="not_evaluated", value=None, days=())
    alerts.tell(failed(blocked(*failures)))
    (message,) = receiver.messages
    assert sent not in str(message)
    assert message["message"].splitlines()[:3] == [
        "- events.contract_known on 2026-01-09: found 6, must be 0",
        "- events.values_known on 2026-01-09: found 6, must be 0",
        "- events.evaluation: could not be evaluated",
    ]


@pytest.mark.parametrize("sent", ["Ada's King", 'Ada" King', "Ada\nKing", "'Ada King"])
@pytest.mark.parametrize("mark", ["'", '"'])
def test_marks_within_a_quoted_value_do_not_let_the_rest_of_it_out(receiver: Receiver, sent: str, mark: str) -> None:
    alerts.tell(failed(LiftoffError(f"Could not convert {mark}{sent}{mark} to DATE")))
    (message,) = receiver.messages
    assert "Could not convert …" in message["title"]
    assert "King" not in str(message)


def test_what_a_database_quotes_from_data_is_not_told(receiver: Receiver) -> None:
    said = (
        "The gate could not judge it: Could not convert string 'Ada King' to DATE, \"ada\" is no key, ada@example.org"
    )
    alerts.tell(failed(LiftoffError(said)))
    (message,) = receiver.messages
    assert (
        message["title"] == "Liftoff: The gate could not judge it: Could not convert string … to DATE, … is no key, …"
    )


def test_failing_begins_after_the_last_success_of_the_same_source() -> None:
    landed("failed", 1)
    landed("accepted", 2)
    landed("rejected", 3)
    landed("accepted", 4, source="warehouse")
    landed("failed", 5)
    settings = load_settings()
    said = alerts.make_alert(settings, "ingest_events", "land", LiftoffError("late")).text
    assert "Since 2026-01-10 03:00 UTC, 2 failed attempts." in said
    landed("accepted", 6)
    landed("failed", 7)
    said = alerts.make_alert(settings, "ingest_events", "land", LiftoffError("late")).text
    assert "Since 2026-01-10 07:00 UTC." in said


def test_a_source_goes_on_failing_while_only_earlier_days_land() -> None:
    settings = load_settings()
    landed("failed", 1)
    landed("accepted", 2, day=FRIDAY - timedelta(3))
    landed("failed", 3, day=FRIDAY + timedelta(1))
    said = alerts.make_alert(settings, "ingest_events", "land", LiftoffError("late")).text
    assert "Since 2026-01-10 01:00 UTC, 2 failed attempts." in said
    landed("accepted", 4, day=FRIDAY + timedelta(1))
    landed("failed", 5, day=FRIDAY - timedelta(3))
    said = alerts.make_alert(settings, "replay_quarantine", "replay_events", LiftoffError("late")).text
    assert "Since 2026-01-10 05:00 UTC." in said


def test_failing_of_builds_begins_after_the_last_release() -> None:
    settings = load_settings()
    for hour, error in ((1, LiftoffError("no")), (2, None), (3, Blocked("no")), (4, LiftoffError("no"))):
        time.sleep(0.002)
        begun = Begun(f"b{hour}", None, datetime(2026, 1, 10, hour, tzinfo=UTC))
        records.keep_build(settings, begun, None, error=error)
    said = alerts.make_alert(settings, "load_window", "transform", LiftoffError("a model failed")).text
    assert "Since 2026-01-10 03:00 UTC, 2 failed attempts." in said


@pytest.mark.parametrize("status", [200, 500])
def test_the_address_is_in_no_log(receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int) -> None:
    receiver.status = status
    with caplog.at_level(logging.DEBUG):
        alerts.tell(failed(LiftoffError("late")))
    assert SECRET in receiver.queries[0]
    assert receiver.queries[0].endswith(f"?token={SECRET}"), "the query of the address goes along"
    assert ("An alert was sent" in caplog.text) == (status == 200)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/{}", "{}", "nothing://{}", "http://[{}", "slack://{}"])
def test_a_receiver_that_cannot_be_reached_is_a_warning_that_names_the_setting_and_not_the_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv("LIFTOFF_ALERT_WEBHOOK", address.format(SECRET))
    with caplog.at_level(logging.DEBUG):
        alerts.tell(failed(blocked()))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith("No alert was sent.")
    assert "LIFTOFF_ALERT_WEBHOOK" in warning
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


def test_nobody_waits_for_a_slow_receiver(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alerts, "SECONDS", 0.5)
    receiver.may_answer.clear()
    alerts.tell(failed(LiftoffError("late")))
    assert not receiver.may_answer.is_set(), "it has not answered yet"
    assert "did not answer within" in caplog.text


def test_without_an_address_nothing_is_made_or_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(*_: object) -> None:
        pytest.fail("nobody asked for it")

    monkeypatch.setattr(alerts, "make_alert", make)
    monkeypatch.setattr(alerts, "send", make)
    alerts.tell(failed(LiftoffError("late")))


def test_an_alert_that_cannot_be_made_hides_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LIFTOFF_RELEASES_KEPT", "none")
    alerts.tell(failed(LiftoffError("late")))
    assert "No alert was sent." in caplog.text
    assert not receiver.messages


@pytest.mark.parametrize("manifest", ["manifest.json", "manifest.json/a folder is an error of the disk"])
def test_an_alert_goes_out_when_the_release_is_what_is_broken(manifest: str, receiver: Receiver) -> None:
    warehouse_dir = load_settings().warehouse_dir
    torn = warehouse_dir / "releases" / "r" / manifest
    torn.parent.mkdir(parents=True)
    torn.write_text("{")
    (warehouse_dir / "current").symlink_to("releases/r")
    (warehouse_dir / "history.jsonl").write_text('{"release": "r", "at": "", "why": "publish"}\n')
    alerts.tell(failed(blocked()))
    (message,) = receiver.messages
    assert "was blocked" in message["title"]
    assert "Readers see release r, which is damaged: liftoff doctor says what to do." in message["message"]


def test_an_error_that_quotes_the_address_is_told_by_its_kind(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(address: str, _: object) -> None:
        raise ValueError(address)

    monkeypatch.setattr(alerts, "send", fail)
    alerts.tell(failed(LiftoffError("late")))
    assert "No alert was sent. ValueError" in caplog.text
    assert SECRET in receiver.address
    assert SECRET not in caplog.text
