"""What the product offers, and what it tries out: titles, and the names of experiments."""

import numpy as np

from simulator.plan import NEVER, TITLES
from simulator.product import DAY, HOUR, Product, Records

EXPERIMENT_NAMES = ("Rows of the home page by taste", "The next episode starts by itself", "A new player")
EXPERIMENT_GOALS = ("retention_day_7", "watch_hours", "watch_hours")
# Clients go on logging what they show: that of one ends in the evening of day 45.
EXPERIMENT_ENDS = np.array([NEVER, 45 * DAY + 18 * HOUR, NEVER])
TITLE_KINDS = ("film", "series", "documentary")
GENRES = ("drama", "comedy", "thriller", "family", "science fiction", "romance", "nature", "history")
TITLE_WORDS = (
    ("Silent", "Last", "Golden", "Hidden", "Distant", "Crooked", "Second", "Northern", "Burning", "Paper"),
    ("Harbour", "Winter", "Orchard", "Signal", "Garden", "Crossing", "Letter", "Mountain", "Tide", "Summer"),
    ("of Glass", "in the Rain", "Without Maps", "at Dawn"),
)

TITLE = np.dtype(
    [
        ("words", "i1", 3),  # of its name, which one of each of TITLE_WORDS
        ("kind", "i1"),
        ("genre", "i1"),
        ("release_year", "i2"),
        ("minutes", "i2"),  # how long it runs; 0 for a series, whose episodes are of many lengths
    ]
)


def titles(product: Product) -> Records:
    """All titles by number: an array of TITLE. The same on every day."""
    rng = product.rng("title", 0)
    number = rng.permutation(TITLES)
    kind = rng.choice(3, TITLES, p=[0.5, 0.35, 0.15])
    minutes = np.where(kind == 0, rng.integers(80, 170, TITLES), rng.integers(45, 100, TITLES))
    rows = np.zeros(TITLES, TITLE)
    rows["words"] = np.column_stack([number % 10, number // 10 % 10, number // 100])
    rows["kind"], rows["minutes"] = kind, np.where(kind == 1, 0, minutes)
    rows["genre"] = rng.integers(len(GENRES), size=TITLES)
    rows["release_year"] = product.launch_date.year - rng.geometric(0.08, TITLES)
    return rows
