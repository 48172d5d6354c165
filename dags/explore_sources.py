"""
Profiles what landed: structure, grain, volume, gaps, lateness and values of every source, what is odd about it, and
what changed since the last profile. Each Monday; by hand for a window of landing days, or for one table. The page is
under *Sources* in the navigation. Nothing is changed, and nothing waits for it.

**Triage**

- *profile failed*: the log names the table whose landings cannot be read together. Load the days of a damaged file
  again with `load_window`, or fill in a window without them.
- *something is wrong or odd*: the page says what, and shows it. Ask who sends it; promises are in `contracts` and
  `ingestion/endpoints.yml`.
- *not to worry about*: a run that is skipped, because nothing has landed yet.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from liftoff import exploring
from liftoff.dag_parts import DEFAULT_ARGS, Tag, run_step, window_if_given, window_params


@dag(
    description="What the sources really send, and what changed since the last time",
    schedule="0 5 * * 1",
    catchup=False,
    max_active_runs=1,
    params=window_params(empty="Both empty: all that has landed.")
    | {"table": Param(None, type=["null", "string"], title="Table", description="Only this one. Empty: all.")},
    tags=[Tag.EXPLORE, Tag.TIER_2],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def explore_sources() -> None:
    @task(doc_md="Measures every landed table, compares it with the last profile, and keeps a page.")
    def profile(**context: Any) -> None:
        run_step(exploring.explore, window_if_given(context), context["params"]["table"] or "")

    profile()


explore_sources()
