"""
Lands one day of event logs: reads the collector's files, sets aside what breaks its contract, audits the rest, and
moves it to `lake/raw`. Emits `raw_events` for the day once the landing was accepted.

**Triage**

- *blocked*: the task's log says which checks failed and shows rows. The refused landing is in `lake/rejected`, the
  day's previous landing, if there was one, still counts. `liftoff quarantine list --day DAY` shows single records.
  When the source is mended, run `load_window` for the day.
- *a file is truncated or still growing*: the collector has not finished. The task tries again by itself.
- *not to worry about*: some quarantined or repeated records on each day are normal (0.3% and 1%).

**By hand**: fill in first and last day. To load many days, or to repair one, use `load_window`: it also builds.
"""

from typing import Any

from airflow.sdk import dag, task

from liftoff import intake
from liftoff.dag_parts import DEFAULT_ARGS, RAW_EVENTS, Tag, one_day_each_night, run_step, window_of, window_params


@dag(
    description="One day of event logs, audited, into the lake",
    schedule=one_day_each_night(),
    catchup=False,
    max_active_runs=1,
    params=window_params(empty="A run by hand needs at least one of the two."),
    tags=[Tag.INGEST, Tag.TIER_1],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def ingest_events() -> None:
    @task(outlets=[RAW_EVENTS])
    def land(**context: Any) -> None:
        run_step(intake.land_events, window_of(context))

    land()


ingest_events()
