"""
Lands one day of the upstream warehouse: what changed on it of accounts, subscriptions and payments, and the lists of
plans, titles and experiments as they are now. All of it is read in one transaction; e-mail, name and birthday never
arrive in clear. Emits `raw_extracts` for the day once all of it was accepted.

**Triage**

- *the warehouse is not reached, or does not let us in*: the log names it, and never a password. The task tries again by
  itself; `liftoff doctor` looks at the address.
- *a table breaks its contract* (a column renamed, retyped or gone): ask the owner whom the log names; the other tables
  have landed. The promises are in `contracts/tables`.
- *blocked*: the task's log says which checks failed. When the source is mended, run `load_window` for the day.
- *not to worry about*: an unknown column, a warning: it does not land.

**By hand**: fill in first and last day. Any past day can be read again, and gives the same landing.
"""

from typing import Any

from airflow.sdk import dag, task

from liftoff import intake
from liftoff.dag_parts import DEFAULT_ARGS, RAW_EXTRACTS, Tag, one_day_each_night, run_step, window_of, window_params


@dag(
    description="One day of accounts, subscriptions and payments, audited, into the lake",
    schedule=one_day_each_night(),
    catchup=False,
    max_active_runs=1,
    params=window_params(empty="A run by hand needs at least one of the two."),
    tags=[Tag.INGEST, Tag.TIER_1],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def ingest_warehouse() -> None:
    @task(outlets=[RAW_EXTRACTS])
    def land(**context: Any) -> None:
        run_step(intake.land_extracts, window_of(context))

    land()


ingest_warehouse()
