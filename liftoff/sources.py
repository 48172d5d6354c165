"""The tables that land in the lake, and which of their landings a build is made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

from contracts.tables import SOURCE as WAREHOUSE
from contracts.tables import load_table_contracts
from ingestion.endpoints import load_endpoints
from storage.lake import Partition
from storage.settings import Settings

__all__ = ["EVENTS", "WAREHOUSE", "LandedTable", "landed_tables", "rules_of"]

EVENTS = "events"


@dataclass(frozen=True)
class LandedTable:
    """One table of a source."""

    source: str
    name: str
    is_daily: bool
    """Each day has a landing of its own, and one without is a gap. Else each landing holds everything."""

    def __str__(self) -> str:
        return self.name if self.name == self.source else f"{self.source}.{self.name}"

    def inputs(self, landed: Iterable[Partition], last_date: date) -> list[Partition]:
        """Those of its landings that a build up to `last_date` is made from: of every day, or the last one."""
        ours = [partition for partition in landed if (partition.source, partition.table) == (self.source, self.name)]
        if self.is_daily:
            return ours
        return sorted((one for one in ours if one.day <= last_date), key=lambda one: one.day)[-1:]


@cache
def landed_tables() -> tuple[LandedTable, ...]:
    """Every table that a build needs: the events, the warehouse's as contracted, the services' as declared.

    Raises:
        ContractError, LiftoffError: a declaration cannot be used.
    """
    return (
        LandedTable(EVENTS, EVENTS, is_daily=True),
        *(LandedTable(WAREHOUSE, name, one.read == "changes") for name, one in load_table_contracts().items()),
        *(LandedTable(endpoint.service, endpoint.table, is_daily=False) for endpoint in load_endpoints()),
    )


def rules_of(source: str, settings: Settings) -> str:
    """The settings that decide which records of a source land, in words; of the upstream warehouse none does.

    A build mixes no landings of a source that were made under different ones.
    """
    if source == WAREHOUSE:
        return ""
    return settings.event_rules if source == EVENTS else settings.service_rules
