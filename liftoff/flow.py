"""All steps of the flow, one after another. The DAGs run the same steps, each in a task of its own."""

from liftoff.building import audit, prepare, publish, transform
from liftoff.intake import land_events, land_extracts, land_market_data
from liftoff.plan import Window
from liftoff.replay import replay_events

POOL = "duckdb"
"""Airflow's pool for these steps, of one slot: each may fill LIFTOFF_DUCKDB_MEMORY_LIMIT, and two builds side by side
would only overtake each other. Whoever deploys Airflow creates it, as docker-compose.yml and liftoff/standalone.py do;
without it tasks wait for ever, and the UI warns."""


def load(window: Window, *, allow_gap: bool = False) -> str | None:
    """All steps for one window, as `load_window` runs them. Returns the release's id, or None if nothing changed."""
    for land in (land_events, land_extracts, land_market_data):
        land(window)
    return build(allow_gap=allow_gap)


def replay(window: Window | None = None, reason: str | None = None) -> str | None:
    """All steps of a replay, as `replay_quarantine` runs them. Returns as above."""
    replay_events(window, reason)
    return build()


def build(*, allow_gap: bool = False) -> str | None:
    """All steps of a build, as `build_marts` runs them. Returns as above."""
    candidate_id = prepare(allow_gap=allow_gap)
    if candidate_id is None:
        return None
    transform(candidate_id)
    audit(candidate_id)
    return publish(candidate_id)
