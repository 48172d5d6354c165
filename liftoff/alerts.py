"""A message when a task has failed for good: what, since when, what readers see now, and what to do first.

It leaves the machine, so it holds nothing that a source sent: of a check what its contract calls it, a figure and days,
never the rows or their words; of an error nothing in quotation marks; and never the address that it goes to.
"""

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from liftoff import looks
from liftoff.intake import LandingFailed
from liftoff.progress import log
from liftoff.sources import EVENTS, WAREHOUSE, landed_tables
from quality.page import REPORT
from quality.report import CheckResult
from storage.days import describe_days, now
from storage.errors import Blocked, LiftoffError
from storage.settings import Settings, load_settings
from storage.warehouse import ReleaseDamaged

SECONDS = 10
"""How long a receiver may take. Airflow kills what goes on for 20 s after its task has ended."""

QUOTED = re.compile(r"""(?<!\w)'.*'|".*"|(?<!\w)['"](?s:.*)|\S+@\S+""")
"""Values that an error may quote from data, and addresses. A value may hold such marks itself: all from a line's first
to its last goes, and where a line closes none, all that follows."""

TITLE, LINES, LENGTH = 100, 8, 300
"""A message is read on a phone."""


class NotSent(LiftoffError):
    """The receiver was not reached, or did not take the message."""


@dataclass(frozen=True)
class Alert:
    """What is sent."""

    title: str
    text: str


def tell(context: Mapping[str, Any]) -> None:
    """Tell that a task failed. Airflow calls it once, after the last retry, in the task's own process.

    Args:
        context: Airflow's; `exception` is missing when the task was killed.
    """
    try:
        settings = load_settings()
        if address := settings.alert_webhook.get_secret_value():
            task = context["task_instance"]
            send(address, make_alert(settings, task.dag_id, task.task_id, _reason(context.get("exception"))))
            log.info("An alert was sent.")
    except Exception as error:  # noqa: BLE001 - whatever it is: the failure itself is what must be seen
        said = str(error) if isinstance(error, LiftoffError) else type(error).__name__  # which may quote the address
        log.warning("No alert was sent. %s", said)


def make_alert(settings: Settings, dag_id: str, task_id: str, error: BaseException | None) -> Alert:
    """What to say of a task that failed by `error`; None: it was killed."""
    what, *details = _what(settings, dag_id, task_id, error)
    title = shorten(what, TITLE, placeholder=" …")
    since, attempts = looks.failing_since(settings, recorded_as(dag_id, task_id)) or (now(), 1)
    several = f", {attempts} failed attempts" if attempts > 1 else ""
    lines = [
        *([what] if title != what else []),
        *details,
        f"Since {since:%Y-%m-%d %H:%M} UTC{several}.",
        looks.what_readers_see(settings),
        f"First: {_first_step(error)}.",
        f"DAG {dag_id}, task {task_id}.",
    ]
    return Alert(f"Liftoff: {title}", "\n".join(lines))


def send(address: str, alert: Alert) -> None:
    """Send it to a web address, as JSON, or to anything that Apprise has a form of address for.

    Raises:
        NotSent: it did not arrive within SECONDS. The message never names the address.
    """
    delivered: list[bool] = []
    sender = threading.Thread(target=lambda: delivered.append(_deliver(address, alert)), daemon=True)
    sender.start()
    sender.join(SECONDS)
    if not delivered:
        raise NotSent(f"Its receiver did not answer within {SECONDS} s. Check LIFTOFF_ALERT_WEBHOOK.")
    if not delivered[0]:
        raise NotSent("Its receiver was not reached, or refused it. Check LIFTOFF_ALERT_WEBHOOK.")


def _deliver(address: str, alert: Alert) -> bool:
    receiver = _receiver(address)
    try:
        return bool(receiver and receiver.notify(alert.text, title=alert.title, notify_type="failure"))
    except Exception:  # noqa: BLE001 - whatever it is, it would quote the address
        return False


def receiver_kind(address: str) -> str | None:
    """Where alerts go, without the address: `JSON`, `Slack`, `E-Mail`; None when it is no address of a receiver."""
    receiver = _receiver(address)
    return str(receiver[0].service_name) if receiver else None


def _receiver(address: str) -> Any:
    """Apprise, with this one receiver; None when it knows no such address."""
    from apprise import Apprise  # noqa: PLC0415 - most tasks have nothing to tell

    for library in ("apprise", "urllib3"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # they log the address, which is a secret
    receiver = Apprise()
    try:
        return receiver if receiver.add(address) or receiver.add(_as_json_receiver(address)) else None
    except ValueError:
        return None


def _as_json_receiver(address: str) -> str:
    """Apprise's form of a plain web address; its query goes along."""
    parts = urlsplit(address)
    query = urlencode([(f"-{name}", value) for name, value in parse_qsl(parts.query)])
    return parts._replace(scheme=parts.scheme.replace("http", "json"), query=query).geturl()


def _reason(error: BaseException | None) -> BaseException | None:
    """What the flow raised, where `run_step` gave Airflow an error of its own for it."""
    return error.__context__ if error and isinstance(error.__context__, LiftoffError) else error


def _what(settings: Settings, dag_id: str, task_id: str, error: BaseException | None) -> Iterator[str]:
    """What happened, in a line, and what is known of it in a few more."""
    if error is None:
        yield f"{task_id} of {dag_id} was killed, or stopped answering."
    elif not isinstance(error, LiftoffError):
        yield f"{task_id} of {dag_id} failed: {type(error).__name__}. Its log in Airflow has the traceback."
    elif isinstance(error, Blocked) and error.gate_id:
        report = REPORT.validate_json(looks.report_of(settings, error.gate_id).read_bytes())
        yield report.sentence()
        shown = [f"- {one.table}.{one.name}{_measured(one)}" for one in report.failures]
        yield from shown[:LINES]
        yield from [f"- and {len(shown) - LINES} more"] if len(shown) > LINES else []
    else:
        yield from (line[:LENGTH] for line in QUOTED.sub("…", str(error)).splitlines()[:LINES])


def _measured(failure: CheckResult) -> str:
    """Its message would say more, in words that may be a client's: an event's name, or the value that broke a rule."""
    days = f" on {describe_days(failure.days)}" if failure.days else ""
    if failure.outcome == "not_evaluated":
        return f"{days}: could not be evaluated"
    return f"{days}: found {failure.value:g}, {failure.threshold}" if failure.value is not None else days


def recorded_as(dag_id: str, task_id: str) -> tuple[str, ...]:
    """Whose record tells since when a task fails: the sources that it lands, or `build`; empty when nobody's does."""
    if task_id in {"prepare", "transform", "audit", "publish"}:
        return ("build",)
    match dag_id if task_id == "land" else task_id:
        case "ingest_events" | "land_events" | "replay_events":
            return (EVENTS,)
        case "ingest_warehouse" | "land_extracts":
            return (WAREHOUSE,)
        case "ingest_market_data" | "land_market_data":
            return tuple({table.source for table in landed_tables()} - {EVENTS, WAREHOUSE})
    return ()


def _first_step(error: BaseException | None) -> str:
    match error:
        case Blocked() if error.gate_id:
            return f"read what was found ({looks.evidence(error.gate_id)}), then docs/runbooks/gate-blocked.md"
        case LandingFailed():
            return "docs/runbooks/source-late.md"
        case ReleaseDamaged():
            return "docs/runbooks/bad-release.md"
        case Blocked():
            return "docs/runbooks/repair-a-day.md"
        case LiftoffError():
            return "as it says above; the task's log in Airflow says more"
    return "the task's log in Airflow, and the triage notes of its DAG"
