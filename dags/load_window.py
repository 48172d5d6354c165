"""
Loads a window of days and publishes the result: for the first load, for repairs, and for many days at once. One audit
for all days, one build, one release. An empty form means launch day to yesterday.

**Triage**

- *land is blocked*: the log names the days and the checks. The good days of the window have landed and stay, and
  `build_marts` would publish them; mend the source and run the same window again.
- *prepare, transform, audit, publish*: as in `build_marts`.
- *not to worry about*: loading a day again changes nothing when its files are the same.
"""

from typing import Any

from airflow.sdk import dag, task

from liftoff import flow
from liftoff.dag_parts import DEFAULT_ARGS, Tag, allow_gap_param, build, run_step, window_or_everything, window_params


@dag(
    description="Load, repair or replay a window of days, then build and publish once",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=window_params() | allow_gap_param(),
    tags=[Tag.INGEST, Tag.BUILD, Tag.REPAIR, Tag.TIER_2],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def load_window() -> None:
    @task(doc_md="Reads, audits and lands each day of the window.")
    def land(**context: Any) -> None:
        run_step(flow.land, window_or_everything(context))

    first, _ = build()
    land() >> first


load_window()
