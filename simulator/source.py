"""Where the simulated product leaves its days: business rows in the upstream warehouse, log files in a folder.

The product is remembered beside the logs, so that more days of it can be added. A day is there when both have it.
"""

import json
import logging
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from simulator.logs import write_day
from simulator.product import Product
from simulator.warehouse import write_days, written_days

log = logging.getLogger("liftoff.simulator")

LAST_FILE = "events-23.jsonl.gz"  # the collector writes the hours of a day in order


class AnotherProduct(Exception):
    """The folder holds logs of a product with other people or another story."""


def open_product(folder: Path, launch_date: date, **wishes: Any) -> Product:
    """The product whose logs lie in `folder`; made from `wishes` (None: the default) when there is none yet.

    Raises:
        AnotherProduct: a wish contradicts the product that is there.
        ValueError: a wish cannot be had.
    """
    path = folder / "product.json"
    wishes = {name: wish for name, wish in wishes.items() if wish is not None}
    if not path.exists():
        product = Product(**({"launch_date": launch_date} | wishes))
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(product) | {"launch_date": str(launch_date)}, indent=1) + "\n")
        return product
    kept = json.loads(path.read_text())
    wanted = kept | wishes | {"launch_date": str(launch_date)}
    if differing := [name for name in kept if kept[name] != wanted[name]]:
        found = ", ".join(f"{name} {kept[name]}, not {wanted[name]}" for name in differing)
        raise AnotherProduct(f"{folder} holds logs of a product with {found}. Remove the folder to start another.")
    return Product(**(kept | {"launch_date": launch_date}))


def missing_days(events_dir: Path, uri: str, launch_date: date, last: date) -> list[date]:
    """The days from launch to `last` whose logs or whose rows in the warehouse are not there, or not all of them.

    Raises:
        ValueError, NotWritten: the warehouse at `uri` cannot be used.
    """
    days = [launch_date + timedelta(days=number) for number in range((last - launch_date).days + 1)]
    written = written_days(uri)
    return [day for day in days if day not in written or not (events_dir / day.isoformat() / LAST_FILE).exists()]


def keep_going(
    events_dir: Path, uri: str, launch_date: date, last: date, *, day: date | None = None, damaged: bool
) -> None:
    """Write one day again, or all days up to `last` that are missing. A new product is begun if need be.

    Args:
        events_dir: for the logs.
        uri: of the warehouse, as its owner.
        launch_date: of the product.
        last: the last day that may be missing.
        day: this one alone, whether it is missing or not.
        damaged: its logs as a broken build would write them. The business systems know nothing of that.

    Raises:
        AnotherProduct: the product that is there was launched on another day.
        ValueError: the day is before the launch, or `damaged` was asked for without a day.
        NotWritten: the warehouse cannot be written.
    """
    if damaged and day is None:
        raise ValueError("Which day is to be damaged? Name it.")
    product = open_product(events_dir.parent, launch_date)
    days = [day] if day else missing_days(events_dir, uri, launch_date, last)
    log.info("Changed %s rows of the business systems", write_days(product, days, uri))
    for wanted in days:
        log.info("Simulated %s: %s log lines", wanted, write_day(product, wanted, events_dir, damaged=damaged))
