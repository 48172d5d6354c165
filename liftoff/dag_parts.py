"""What the DAG files share: tags, owner, retries, the window's form, and the tasks of a build."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from airflow.sdk import Asset, CronPartitionTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from ingestion.landing import Reason
from liftoff import alerts, building, looks
from liftoff.flow import POOL
from liftoff.plan import NothingLanded, NotLoadedYet, Window
from liftoff.progress import log
from storage.days import yesterday
from storage.errors import Blocked, LiftoffError, WrongUsage
from storage.settings import load_settings
from storage.warehouse import Overtaken, Warehouse

P = ParamSpec("P")
T = TypeVar("T")

RAW_EVENTS = Asset("raw_events", uri="liftoff://lake/raw/events", group="raw")
RAW_EXTRACTS = Asset("raw_extracts", uri="liftoff://lake/raw/warehouse", group="raw")
RAW_MARKET_DATA = Asset("raw_market_data", uri="liftoff://lake/raw/market_data", group="raw")
MARTS = Asset("marts", uri="liftoff://warehouse/current", group="marts")

# A source that is late or a disk that is busy is usually fine again within half an hour: 2, 4 and 8 minutes, then
# someone is told. What the gate refused is not retried at all: the same data would be refused again.
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "data-platform",
    "pool": POOL,
    "retries": 3,
    "retry_delay": timedelta(minutes=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "on_failure_callback": alerts.tell,  # once, after the last retry; nothing for what is skipped or not started
}


class Tag(StrEnum):
    """The words by which the UI filters DAGs. A DAG says what it does and how soon someone must look."""

    INGEST = "ingest"
    BUILD = "build"
    REPAIR = "repair"
    EXPLORE = "explore"
    DEMO = "demo"  # the simulated product; a fork deletes it
    TIER_1 = "tier-1"  # readers notice within a day
    TIER_2 = "tier-2"  # run by hand, by someone who is watching; or nobody waits for it


def one_day_each_night() -> CronPartitionTimetable:
    """Each night at 2:00 UTC a run for the day that ended: its partition."""
    return CronPartitionTimetable("0 2 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d")


def window_params(*, empty: str = "") -> dict[str, Param]:
    """The two dates of a window as the UI's form shows them, both empty at first; `empty` says what that means."""
    form = {"type": ["null", "string"], "format": "date"}
    return {
        "start": Param(None, title="First day", description=f"UTC. Empty: the day of the launch. {empty}", **form),
        "end": Param(None, title="Last day", description=f"UTC, included. Empty: yesterday. {empty}", **form),
    }


def reason_param() -> dict[str, Param]:
    """Which refused records, by the reason why they were."""
    form = {"type": ["null", "string"], "enum": [None, *Reason]}
    help_text = "Only records that were refused for this reason. Empty: all."
    return {"reason": Param(None, title="Reason", description=help_text, **form)}


def allow_gap_param() -> dict[str, Param]:
    """Whether a build may publish although a day in between is missing."""
    help_text = "Publish although a day is missing: its metrics are NULL, and the release says so."
    return {"allow_gap": Param(False, type="boolean", title="Allow gaps", description=help_text)}


def window_of(context: Mapping[str, Any]) -> Window:
    """The window of a run: the form wins, then the partition's day.

    Raises:
        AirflowFailException: neither is there, or the dates are in the wrong order.
    """
    return run_step(_read_window, context["params"], context["dag_run"].partition_key)


def window_or_everything(context: Mapping[str, Any]) -> Window:
    """The window of the form, or launch day to yesterday when the form is empty."""
    return window_if_given(context) or Window(load_settings().launch_date, yesterday())


def window_if_given(context: Mapping[str, Any]) -> Window | None:
    """The window of the form, or None when the form is empty."""
    params = context["params"]
    return window_of(context) if params.get("start") or params.get("end") else None


def run_step(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a step of the flow, and tell Airflow which failures a retry cannot mend."""
    try:
        return step(*args, **kwargs)
    except (NothingLanded, looks.NothingToShow) as error:
        log.warning("%s", error)
        raise AirflowSkipException(str(error)) from None
    except (Blocked, Overtaken, WrongUsage) as error:
        log.error("%s", error, extra={"error": error})
        raise AirflowFailException(str(error).splitlines()[0]) from None  # the log has the rest already
    except OSError as error:
        mended = LiftoffError(f"{error}. Nothing half-done is visible: mend it, then run the same again.")
        log.error("%s", mended, extra={"error": mended})
        raise mended from error
    except LiftoffError as error:
        log.error("%s", error, extra={"error": error})
        raise


@task(doc_md="Decides which days to restate, and takes over the others from the current release.")
def prepare(*, skip_until_loaded: bool, **context: Any) -> str:
    """First task of a build."""
    candidate_id = run_step(_prepare, allow_gap=context["params"]["allow_gap"], skip_until_loaded=skip_until_loaded)
    if candidate_id is None:
        raise AirflowSkipException("Nothing to build: the current release already holds all that has landed.")
    return candidate_id


@task(doc_md="Runs the dbt models, with their tests, on the candidate.")
def transform(candidate_id: str) -> str:
    """Second task of a build."""
    run_step(building.transform, candidate_id)
    return candidate_id


@task(doc_md="Checks the candidate's marts against their contracts. What was not evaluated did not pass.")
def audit(candidate_id: str) -> str:
    """Third task of a build."""
    run_step(building.audit, candidate_id)
    return candidate_id


@task(outlets=[MARTS], doc_md="Makes the candidate the release that readers see, in one step.")
def publish(candidate_id: str) -> str:
    """Last task of a build."""
    return run_step(building.publish, candidate_id)


def build(*, skip_until_loaded: bool = False) -> tuple[Any, Any]:
    """The four tasks of a build, one after another. Returns the first and the last.

    With `skip_until_loaded` a build that comes before the first load is skipped, not blocked.
    """
    first = prepare(skip_until_loaded=skip_until_loaded)
    last = publish(audit(transform(first)))
    return first, last


def _prepare(*, allow_gap: bool, skip_until_loaded: bool) -> str | None:
    try:
        return building.prepare(allow_gap=allow_gap)
    except NotLoadedYet as error:
        settings = load_settings()
        is_new = not Warehouse(settings.warehouse_dir, releases_kept=settings.releases_kept).history()
        if skip_until_loaded and is_new:
            log.warning("%s", error)
            raise AirflowSkipException(str(error)) from None
        raise


def _read_window(params: Mapping[str, Any], partition_key: str | None) -> Window:
    start, end = params.get("start"), params.get("end")
    if start or end:
        first = date.fromisoformat(start) if start else load_settings().launch_date
        return Window(first, date.fromisoformat(end) if end else yesterday())
    if partition_key:
        return Window(date.fromisoformat(partition_key), date.fromisoformat(partition_key))
    raise WrongUsage(
        "This run has neither a partition nor a window. Trigger it again and fill in first and last day in the form, "
        "or use load_window, which also builds and publishes."
    )
