"""
Builds the marts from all that has landed since the current release, audits them, and publishes the result as the next
release. Starts by itself when all three sources of a day have landed; triggered by hand with nothing filled in, it
builds what changed.

**Triage**

- *it does not start*: one of the three `ingest_` DAGs has not finished that day. Its run says why.
- *prepare is blocked*: a day of a source between launch and the last landed day is missing. Load it with `load_window`,
  or allow the gap in the form: its metrics are then NULL. If it says that a release is not what was published any
  more, see the runbook of a bad release.
- *transform failed*: a model or a test; the log names it. Nothing was published.
- *audit is blocked*: the log says which checks failed. Readers keep the release that they had; the refused candidate
  is in `warehouse/rejected` and can be opened with DuckDB.
- *publish was overtaken*: another build published first. Trigger the DAG again.
- *not to worry about*: a skipped `prepare` means that there was nothing new, or that the first load has not been made
  yet: run `load_window` once.
"""

from airflow.sdk import PartitionedAssetTimetable, dag

from liftoff.dag_parts import (
    DEFAULT_ARGS,
    RAW_EVENTS,
    RAW_EXTRACTS,
    RAW_MARKET_DATA,
    Tag,
    allow_gap_param,
    build,
)


@dag(
    description="From landings to a published, audited release",
    schedule=PartitionedAssetTimetable(assets=RAW_EVENTS & RAW_EXTRACTS & RAW_MARKET_DATA),
    catchup=False,
    max_active_runs=1,
    params=allow_gap_param(),
    tags=[Tag.BUILD, Tag.TIER_1],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def build_marts() -> None:
    build(skip_until_loaded=True)


build_marts()
