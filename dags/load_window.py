"""
Loads a window of days of all sources and publishes the result: for the first load, for repairs, and for many days at
once. One audit a source for all days, one build, one release. An empty form means launch day to yesterday.

**Triage**

- *a landing is blocked*: the log names the days and the checks. The good days of the window have landed and stay, and
  nothing is built until all sources have; mend the source and run the same window again.
- *a landing failed*: the log names what could not be read; `ingest_events`, `ingest_warehouse` and
  `ingest_market_data` say more about each source.
- *prepare, transform, audit, publish*: as in `build_marts`.
- *not to worry about*: loading a day again changes nothing when its files are the same.
"""

from typing import Any

from airflow.sdk import dag, task

from liftoff import intake
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
    @task(doc_md="Reads, audits and lands the logs of each day of the window.")
    def land_events(**context: Any) -> None:
        run_step(intake.land_events, window_or_everything(context))

    @task(doc_md="The same for the upstream warehouse: each day's changes, and its lists as they are now.")
    def land_extracts(**context: Any) -> None:
        run_step(intake.land_extracts, window_or_everything(context))

    @task(doc_md="The same for third-party services, up to the window's last day.")
    def land_market_data(**context: Any) -> None:
        run_step(intake.land_market_data, window_or_everything(context))

    first, _ = build()
    [land_events(), land_extracts(), land_market_data()] >> first


load_window()
