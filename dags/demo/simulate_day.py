"""
Keeps the simulated product going: each night it writes the business of the day into the upstream warehouse, and its
logs as a collector would; the `ingest_` DAGs find them an hour later. A fork deletes it together with `simulator/`.

**By hand**: name a day to write it again, or tick *damaged* to get its logs as a broken build would log them: half of
the day is missing, and one platform forgets its user ids. Load that day with `load_window` and watch the gate block
it; then write it again undamaged, and load it once more.

**Triage**

- *it failed*: the log says why. Trigger it again: it writes what is missing.
- *not to worry about*: a run that writes nothing. All days up to yesterday were there.
"""

from datetime import date
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowFailException

from liftoff.dag_parts import DEFAULT_ARGS, Tag
from simulator.source import AnotherProduct, keep_going
from simulator.upstream import owner_uri
from storage.days import yesterday
from storage.settings import load_settings

DAY_HELP = "UTC. Writes this day again. Empty: all days up to yesterday that are not there yet."
DAMAGED_HELP = "As a broken build would log that day. The gate blocks it."


@dag(
    description="The simulated product: one more day of its logs and its business",
    schedule=CronTriggerTimetable("0 1 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "day": Param(None, type=["null", "string"], format="date", title="Day", description=DAY_HELP),
        "damaged": Param(False, type="boolean", title="Damaged", description=DAMAGED_HELP),
    },
    tags=[Tag.DEMO, Tag.TIER_2],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def simulate_day() -> None:
    @task(doc_md="Writes each day into the upstream warehouse, then as a folder of hourly log files.")
    def simulate(**context: Any) -> None:
        settings, params = load_settings(), context["params"]
        day = date.fromisoformat(params["day"]) if params["day"] else None
        try:
            where = settings.events_dir, owner_uri(settings.warehouse_uri)
            keep_going(*where, settings.launch_date, yesterday(), day=day, damaged=params["damaged"])
        except (AnotherProduct, ValueError) as error:
            raise AirflowFailException(str(error)) from None

    simulate()


simulate_day()
