"""
Tries refused log lines again, from the bytes that were kept of them, and publishes what is accepted now. For a contract
that was mended after clients had sent what it did not know, and for `LIFTOFF_LATE_ARRIVAL_DAYS` after it was raised.
Their days are restated, once. An empty form means every landed day and every reason.

**Triage**

- *replay refuses to start*: the settings changed in a way that a replay cannot follow, or the form leaves out days that
  they concern. The message says what to load, or what to leave empty.
- *replay is blocked*: with what joined it, a day failed its audit. Its landing stays as it was, and so does its
  quarantine; the log names the checks.
- *prepare, transform, audit, publish*: as in `build_marts`.
- *not to worry about*: a skipped `prepare` means that no record is accepted that was refused before. Records of the
  upstream warehouse and of services are not tried here: the log names the days to load again with `load_window`.
"""

from typing import Any

from airflow.sdk import dag, task

from liftoff import replay
from liftoff.dag_parts import (
    DEFAULT_ARGS,
    Tag,
    allow_gap_param,
    build,
    reason_param,
    run_step,
    window_if_given,
    window_params,
)


@dag(
    description="Try refused log lines again, then build and publish once",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=window_params(empty="Both empty: every landed day.") | reason_param() | allow_gap_param(),
    tags=[Tag.INGEST, Tag.BUILD, Tag.REPAIR, Tag.TIER_2],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def replay_quarantine() -> None:
    @task(doc_md="Reads refused lines again by the present contracts and rules, audits and lands what is accepted now.")
    def replay_events(**context: Any) -> None:
        run_step(replay.replay_events, window_if_given(context), context["params"]["reason"])

    first, _ = build(skip_until_loaded=True)
    replay_events() >> first


replay_quarantine()
