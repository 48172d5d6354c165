"""Almost seven weeks of a launch, and the truth about them."""

from collections.abc import Iterator

import pytest

from simulator.product import Product
from tests.launch import LAUNCH, Source, lived, loaded

__all__ = ["loaded", "source"]

DAYS = 47
"""So many that each column has something to say: an hour has the same weekday four weeks before, an experiment ends."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """The whole story. With this seed few users suffice for one experiment to show that its split is broken."""
    with lived(Product(seed=12, users=1_200, launch_date=LAUNCH, story="full"), DAYS, tmp_path_factory) as source:
        yield source
