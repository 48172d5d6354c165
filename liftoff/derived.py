"""The files in git that follow from the contracts. `make contracts` writes them, and a test compares them."""

from collections.abc import Mapping
from pathlib import Path

from contracts import EventContracts, load_event_contracts
from liftoff.dbt import DBT_PROJECT_DIR
from liftoff.tracking_plan import TrackingPlan, tracking_plan
from storage.settings import PROJECT_DIR, load_settings

EVENT_SOURCE = DBT_PROJECT_DIR / "models" / "staging" / "events" / "sources.yml"
TRACKING_PLAN = PROJECT_DIR / "docs" / "tracking-plan.md"

DBT_TYPES = {"integer": "bigint", "number": "double"}
"""What both engines know a type by, where it is not the contracts' own word."""


def derived_files(contracts: EventContracts, plan: TrackingPlan) -> Mapping[Path, str]:
    """Each file, with what it should hold."""
    return {EVENT_SOURCE: event_source(contracts), TRACKING_PLAN: plan.markdown()}


def event_source(contracts: EventContracts) -> str:
    """The dbt source of events: the columns that land, with their types."""
    columns = "".join(
        f"          - {{name: {name}, data_type: {DBT_TYPES.get(kind, kind)}}}\n"
        for name, kind in contracts.landed.items()
    )
    return f"""# Written by `make contracts` from contracts/. Change those, and run it again.
sources:
  - name: events
    description: The product's event log, as the collector wrote it and ingestion accepted it.
    tables:
      - name: events
        description: >
          Grain: one row per event and landing day. One parquet file a day in the lake; read with the macro lake.
          The envelope and all properties of all event contracts (contracts/), flat.
        columns:
{columns}"""


if __name__ == "__main__":
    for path, text in derived_files(load_event_contracts(), tracking_plan(load_settings())).items():
        path.write_text(text, encoding="utf-8")
