"""What is published equals what can be known: every value of every mart."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from pandas.api.types import is_bool_dtype

from liftoff import looks
from liftoff.dbt import DBT_PROJECT_DIR
from simulator import market
from simulator.truth import knowable, write_truth
from simulator.verdict import PUBLISHED, Verdict, compare
from storage.settings import load_settings
from tests.launch import FIRST_YEAR, Loaded, Source, day
from tests.truth.conftest import DAYS

LAST = DAYS - 1
MADE_OF_OTHERS = {"session_key", "playback_key", "user_key", "plan_key", "change_id"}
"""Digests, and a number that the upstream system gives to each change in the order of its writing."""
SILENT = {
    "active_users_daily": {"is_gap"},
    "landed_dates": {"has_landed"},
    "business_climate": {"ease_of_business_rank", "ease_of_business_rank_year"},
}
"""Always the same here: sources without a gap, and an indicator that the World Bank has withdrawn. Tests of models and
contracts know others."""
MARTS = sorted(path.stem for path in (DBT_PROJECT_DIR / "models" / "marts").rglob("*.sql"))


@pytest.fixture(scope="module", autouse=True)
def _short_history() -> Iterator[None]:
    """The truth about the years that the stand-in of these tests serves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(market, "FIRST_YEAR", FIRST_YEAR)
        market.indicator_values.cache_clear()
        yield
    market.indicator_values.cache_clear()


@pytest.fixture(scope="module")
def release(loaded: Loaded) -> Path:
    """The database of a release of all its days."""
    return loaded((0, LAST)) / "warehouse" / "current" / "liftoff.duckdb"


@pytest.fixture(scope="module")
def truth_dir(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sides of the truth about these days."""
    folder = tmp_path_factory.mktemp("truth")
    write_truth(source.product, day(LAST), folder)
    return folder


@pytest.fixture(scope="module")
def verdicts(release: Path, truth_dir: Path) -> dict[str, Verdict]:
    """Of what can be known, by frame."""
    return {verdict.name: verdict for verdict in compare(release, truth_dir / "knowable")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_value_equals_what_can_be_known(verdicts: dict[str, Verdict], name: str) -> None:
    verdict = verdicts[name]
    assert verdict.compared > 0, "nothing was compared"
    assert verdict.differences.empty, f"{name}:\n{verdict.differences.head(10).to_string()}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_known_of_a_column_is_more_than_one_word(truth_dir: Path, name: str) -> None:
    truth = pd.read_parquet(truth_dir / "knowable" / f"{name}.parquet", dtype_backend="pyarrow")
    silent = {
        column
        for column in truth.columns
        if truth[column].isna().all() or (is_bool_dtype(truth[column].dtype) and truth[column].nunique() < 2)
    }
    assert silent == SILENT.get(name, set()), "what is never known, or always the same, proves nothing"


@pytest.mark.parametrize("mart", MARTS)
def test_every_mart_is_compared(mart: str) -> None:
    assert len(MARTS) > 25, "the marts were not found: check DBT_PROJECT_DIR"
    assert any(re.search(rf"\b{mart}\b", sql) for _, sql in PUBLISHED.values()), (
        f"{mart}: put its truth beside the others in simulator/, and compare it in simulator/verdict.py"
    )


@pytest.mark.parametrize("name", [name for name, (_, sql) in PUBLISHED.items() if sql.startswith("from ")])
def test_every_column_is_compared_but_keys_made_of_others(release: Path, truth_dir: Path, name: str) -> None:
    with duckdb.connect(str(release), read_only=True) as connection:
        published, known = (
            {column for column, *_ in connection.execute(f"describe {rows}").fetchall()}
            for rows in (PUBLISHED[name][1], f"from '{truth_dir}/knowable/{name}.parquet'")
        )
    assert published - known <= MADE_OF_OTHERS, f"{name}: say in simulator/ what is true of these columns"


def test_what_happened_differs_by_what_was_lost(
    release: Path, truth_dir: Path, source: Source, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    differing = compare(release, truth_dir / "happened")
    assert sum(len(verdict.differences) for verdict in differing) > 30, "without a difference these tests prove nothing"

    monkeypatch.setenv("LIFTOFF_DATA_DIR", str(loaded((0, LAST))))
    delivery = knowable(source.product, day(LAST))["delivery_daily"]
    counts, _ = looks.refused(load_settings(), limit=1, reason="too_late")
    found = sum(row["records"] for row in counts)
    assert delivery["too_late_count"].sum() > 0
    assert found >= delivery["too_late_count"].sum(), "copies of one late event are lines of their own"


@pytest.mark.parametrize(
    ("name", "column"),
    [("active_users_daily", "anonymous_devices"), ("revenue_daily", "charge_count"), ("retention_driver", "users")],
)
def test_a_wrong_number_is_found(release: Path, truth_dir: Path, tmp_path: Path, name: str, column: str) -> None:
    for path in (truth_dir / "knowable").glob("*.parquet"):
        (tmp_path / path.name).symlink_to(path)
    truth = pd.read_parquet(tmp_path / f"{name}.parquet", dtype_backend="pyarrow")
    known = truth[column].notna()
    truth.loc[known & ~known.shift(fill_value=False).cummax(), column] += 1
    (tmp_path / f"{name}.parquet").unlink()
    truth.to_parquet(tmp_path / f"{name}.parquet", index=False)
    (wrong,) = [verdict for verdict in compare(release, tmp_path) if len(verdict.differences)]
    assert wrong.name == name
    assert wrong.differences["column"].tolist() == [column]
