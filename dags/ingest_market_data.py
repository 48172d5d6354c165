"""
Lands what third-party services know: countries and indicators of the World Bank, exchange rates of Frankfurter. What
has not changed since the last landing is not fetched again. Emits `raw_market_data` for the day.

**Triage**

- *a service gives no good answer*: after its own retries the task goes on with what landed last, and warns; when that
  is 10 days old (rates) or 100 (World Bank), the task fails. Check the service, and `LIFTOFF_FX_URL` or
  `LIFTOFF_WORLD_BANK_URL`; `liftoff doctor` asks both.
- *blocked*: the answer was well formed and cannot be true; the log says what. Tell the service, and go on with the last
  landing: nothing was replaced.
- *not to worry about*: "Nothing new", at weekends for rates and for months for indicators; an indicator that is
  *unavailable*: the World Bank has taken it back, and its values stay empty.

**By hand**: the last day counts. `LIFTOFF_WORLD_BANK_URL=https://api.worldbank.org` asks the live service.
"""

from typing import Any

from airflow.sdk import dag, task

from liftoff import intake
from liftoff.dag_parts import DEFAULT_ARGS, RAW_MARKET_DATA, Tag, one_day_each_night, run_step, window_of, window_params


@dag(
    description="Countries, indicators and exchange rates, audited, into the lake",
    schedule=one_day_each_night(),
    catchup=False,
    max_active_runs=1,
    params=window_params(empty="A run by hand needs at least one of the two."),
    tags=[Tag.INGEST, Tag.TIER_1],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def ingest_market_data() -> None:
    @task(outlets=[RAW_MARKET_DATA])
    def land(**context: Any) -> None:
        run_step(intake.land_market_data, window_of(context))

    land()


ingest_market_data()
