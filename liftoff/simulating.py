"""Simulated sources, for a platform that has no real ones: logs, an upstream warehouse, and the truth about both."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from liftoff.display import RunDisplay
from liftoff.printing import console, short
from simulator import source
from simulator.logs import write_day
from simulator.truth import write_truth
from simulator.upstream import owner_uri
from simulator.warehouse import NotWritten, write_days
from storage.days import describe_days, yesterday
from storage.errors import LiftoffError, WrongUsage
from storage.settings import Settings


def missing_days(settings: Settings) -> list[date]:
    """The days up to yesterday that the simulated product has not written.

    Raises:
        LiftoffError: the upstream warehouse cannot be asked.
    """
    with _simulator_errors():
        uri = owner_uri(settings.warehouse_uri)
        return source.missing_days(settings.events_dir, uri, settings.launch_date, yesterday())


def simulate_days(settings: Settings, days: Sequence[date], *, damaged: bool = False, **wishes: Any) -> None:
    """Write some days of the product, and the truth up to the last of them, with progress on the terminal.

    Args:
        settings: where logs and upstream warehouse are.
        days: in order.
        damaged: their logs as a broken build would write them. The truth stays that of the days before, as what
            readers see does.
        wishes: users, story and seed of a product that is begun now.

    Raises:
        WrongUsage: the days or the wishes cannot be had.
        LiftoffError: the upstream warehouse cannot be written.
    """
    folder, lines = settings.events_dir.parent, 0
    with RunDisplay(console, first_stage="business") as display, _simulator_errors():
        product = source.open_product(folder, settings.launch_date, **wishes)
        changes = write_days(product, days, owner_uri(settings.warehouse_uri))
        for number, day in enumerate(days, start=1):
            lines += write_day(product, day, settings.events_dir, damaged=damaged)
            display.show("simulate", number, len(days))
        if not damaged:
            display.show("truth")
            write_truth(product, days[-1], folder / "truth")
    console.print(
        f"{lines:,} log lines of {describe_days(days)} are in {short(settings.events_dir)}, "
        f"{changes:,} changes of accounts, subscriptions and payments in the upstream warehouse."
    )


@contextmanager
def _simulator_errors() -> Iterator[None]:
    """The simulator knows nothing of the platform, nor of its errors."""
    try:
        yield
    except (source.AnotherProduct, ValueError) as error:
        raise WrongUsage(str(error)) from None
    except NotWritten as error:
        raise LiftoffError(str(error)) from None
