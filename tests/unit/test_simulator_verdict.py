"""The judge of published numbers: what equals the truth passes, and each way to differ is found."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from simulator import verdict
from simulator.verdict import Verdict, compare

Judge = Callable[[str], Verdict]
MONEY = pd.ArrowDtype(pa.decimal128(38, 4))
TRUTH = pd.DataFrame(
    {
        "date": [date(2026, 1, 5), date(2026, 1, 6)],
        "country_code": ["NA", "US"],
        "user_count": pd.Series([3, None], dtype="Int64"),
        "revenue_usd": pd.Series([Decimal("12.5000"), Decimal("0.0001")], dtype=MONEY),
        "value": [1e15, float("nan")],
        "is_aggregate": [True, False],
    }
)
RIGHT = """
    select * from (values
        (date '2026-01-05', 'NA', 3, 12.5::decimal(38,4), 1e15::double, true),
        (date '2026-01-06', 'US', null, 0.0001::decimal(38,4), null, false)
    ) as published (date, country_code, user_count, revenue_usd, value, is_aggregate)
"""


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Compares the rows of a query with the truth above."""
    TRUTH.to_parquet(tmp_path / "frame.parquet", index=False)
    duckdb.connect(str(tmp_path / "liftoff.duckdb")).close()

    def compare_with(query: str) -> Verdict:
        monkeypatch.setattr(verdict, "PUBLISHED", {"frame": (("date", "country_code"), query)})
        (found,) = compare(tmp_path / "liftoff.duckdb", tmp_path)
        return found

    return compare_with


def test_the_same_values_are_all_compared_and_none_differs(judge: Judge) -> None:
    found = judge(RIGHT)
    assert found.differences.empty
    assert found.compared == 8


def test_a_column_that_the_truth_does_not_know_is_no_difference(judge: Judge) -> None:
    assert judge(f"select *, 1 as more from ({RIGHT})").differences.empty


@pytest.mark.parametrize(
    ("instead", "column", "published", "truth"),
    [
        ("4 as user_count", "user_count", "4", "3"),
        ("null as user_count", "user_count", None, "3"),
        ("12.5001::decimal(38,4) as revenue_usd", "revenue_usd", "12.5001", "12.5000"),
        ("12.5::double as revenue_usd", "revenue_usd", "12.5", "12.5000"),
        ("1000000010000000::double as value", "value", "1000000010000000.0", "1000000000000000.0"),
        ("'nan'::double as value", "value", "nan", "1000000000000000.0"),
        ("false as is_aggregate", "is_aggregate", "false", "true"),
    ],
)
def test_a_wrong_value_is_found(judge: Judge, instead: str, column: str, published: str | None, truth: str) -> None:
    found = judge(f"select * replace ({instead}) from ({RIGHT})")
    (row,) = found.differences[found.differences["country_code"] == "NA"].astype(object).to_dict("records")
    assert (row["column"], row["truth"]) == (column, truth)
    assert row["published"] == published if published else pd.isna(row["published"])


def test_a_double_may_differ_by_a_billionth(judge: Judge) -> None:
    assert judge(f"select * replace (value * (1 + 5e-10) as value) from ({RIGHT})").differences.empty


def test_a_value_that_should_be_null_is_found(judge: Judge) -> None:
    found = judge(f"select * replace (coalesce(user_count, 0) as user_count) from ({RIGHT})")
    assert found.differences["country_code"].tolist() == ["US"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"from ({RIGHT}) where country_code = 'NA'", "US"),
        (f"from ({RIGHT}) union all (select * replace ('XX' as country_code) from ({RIGHT}) limit 1)", "XX"),
    ],
)
def test_a_row_that_one_side_alone_has_differs_in_each_value(judge: Judge, query: str, code: str) -> None:
    differences = judge(query).differences
    assert differences["country_code"].tolist() == [code] * 4
    assert sorted(differences["column"]) == ["is_aggregate", "revenue_usd", "user_count", "value"]


def test_a_row_that_is_there_twice_differs(judge: Judge) -> None:
    assert len(judge(f"from ({RIGHT}) union all (from ({RIGHT}) limit 1)").differences)
