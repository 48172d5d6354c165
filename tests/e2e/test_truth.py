"""What is published equals what can be known, for every day and every value."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from liftoff import looks
from simulator import market
from simulator.truth import knowable, write_truth
from simulator.verdict import compare
from storage.settings import load_settings
from tests.e2e.conftest import FIRST_YEAR, Platform, Source, day

LAST = 12


@pytest.fixture(autouse=True)
def _short_history(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The truth about the years that the stand-in of these tests serves."""
    monkeypatch.setattr(market, "FIRST_YEAR", FIRST_YEAR)
    market.indicator_values.cache_clear()
    yield
    market.indicator_values.cache_clear()


def test_every_published_value_equals_what_can_be_known(platform: Platform, source: Source, tmp_path: Path) -> None:
    platform.load(0, LAST)
    write_truth(source.product, day(LAST), tmp_path)
    verdicts = compare(platform.current().database, tmp_path / "knowable")
    assert {verdict.name for verdict in verdicts} >= {"revenue_daily", "accounts_daily", "country_indicators"}
    for verdict in verdicts:
        assert verdict.compared >= LAST - 6, "revenue, the shortest, begins when the first trials are over"
        assert verdict.differences.empty, f"{verdict.name}:\n{verdict.differences.head(10).to_string()}"
    assert sum(verdict.compared for verdict in verdicts) > 800

    differing = compare(platform.current().database, tmp_path / "happened")
    assert sum(len(verdict.differences) for verdict in differing) > 30, "without a difference this test proves nothing"

    delivery = knowable(source.product, day(LAST))["delivery_daily"]
    counts, _ = looks.refused(load_settings(), None, None, 1)
    found = {row["reason"]: row["records"] for row in counts}
    assert delivery["too_late_count"].sum() > 0
    assert found["too_late"] >= delivery["too_late_count"].sum(), "copies of one late event are lines of their own"


@pytest.mark.parametrize("column", ["active_users", "anonymous_devices"])
def test_a_wrong_number_is_found(platform: Platform, source: Source, tmp_path: Path, column: str) -> None:
    platform.load(0, 1)
    write_truth(source.product, day(1), tmp_path)
    path = tmp_path / "knowable" / "active_users_daily.parquet"
    truth = pd.read_parquet(path)
    truth[column] = truth[column] + [0, 1]
    truth.to_parquet(path)
    (wrong,) = [verdict for verdict in compare(platform.current().database, path.parent) if len(verdict.differences)]
    assert wrong.differences["column"].tolist() == [column]
