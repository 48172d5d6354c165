"""The folder of the simulated source: the product is remembered there, so that more days of it can be added."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from simulator.product import Product


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
