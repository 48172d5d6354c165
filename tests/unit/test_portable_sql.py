"""The lint of what DuckDB and Spark read differently: each thing is refused, and the portable way passes."""

import pytest
from sqlfluff.core import FluffConfig, Linter

from liftoff.dbt import DBT_PROJECT_DIR


@pytest.fixture(scope="module")
def linter() -> Linter:
    """Our rules alone, with the house's one of casts, on the macros of the project."""
    return Linter(FluffConfig.from_path(str(DBT_PROJECT_DIR), overrides={"rules": "portable,convention.casting_style"}))


def refused_by(linter: Linter, expression: str) -> set[str]:
    """The names of the rules that complain of an expression."""
    violations = linter.lint_string(f"select {expression}\n").violations
    return {violation.rule_name().removeprefix("portable.") for violation in violations}


@pytest.mark.parametrize(
    ("rule", "refused", "portable"),
    [
        # read differently, and nothing says so
        ("syntax", 'a as "b"', "a as b"),
        ("functions", "concat(a, b)", "a || b"),
        ("syntax", "5 ^ 3", "power(5, 3)"),
        ("casts", "cast(a / 2 as int)", "cast(floor(a / 2) as bigint)"),
        ("casts", "cast(2.5 as integer)", "cast(25 as integer)"),
        ("casts", "cast(sum(a * 1.5) as bigint)", "cast(sum(a * 2) as bigint)"),
        (
            "casts",
            "try_cast(case when a > 1.5 then avg(b) else 0 end as bigint)",
            "case when a > 1.5 then 1 else 0 end",
        ),
        ("casts", "cast({{ seconds_between('a', 'b') }} as bigint)", "cast({{ days_between('a', 'b') }} as bigint)"),
        ("convention.casting_style", "a::int", "cast(a as int)"),
        ("rounding", "round(a, 2)", "round(cast(a as decimal(18, 4)), 2)"),
        ("rounding", "cast(a / 2 as decimal(18, 4))", "cast(a * 2 as decimal(18, 4))"),
        ("rounding", "cast(cast(a as double) as decimal(18, 4))", "cast(case when b then a end as decimal(18, 4))"),
        ("division", "1.5 * a / 2", "1.5 * cast(a as double) / 2"),
        ("division", "a / cast(2 as decimal(18, 4))", "a / cast(2 as double)"),
        ("division", "avg(cast(a as decimal(18, 4)))", "avg(cast(a as double))"),
        ("division", "a / b", "a / nullif(b, 0)"),
        ("division", "a / 0", "a / 2"),
        ("division", "a / nullif(b, 1)", "a / (2 * nullif(b, 0))"),
        ("division", "a / count(*)", "a / count(*) over (partition by b)"),
        ("division", "a / sqrt(b)", "a / sqrt(nullif(b, 0) * 1.25)"),
        ("division", "a / (b - 1)", "a / (b + 1)"),
        ("functions", "first_value(a) over (order by b)", "{{ next_known('a', 'b', 'c') }}"),
        ("functions", "last_value(a) over (order by b)", "lag(a) over (order by b)"),
        ("functions", "dayofweek(a)", "{{ days_between('week_start_date', 'a') }} + 1"),
        ("functions", "date_part('dow', a)", "extract(week from a)"),
        ("syntax", "extract(isodow from a)", "extract(year from a)"),
        ("syntax", "extract(second from a)", "extract(minute from a)"),
        ("functions", "regexp_replace(a, 'b', 'c')", "replace(a, 'b', 'c')"),
        ("functions", "substr(a, 0, 3)", "substr(a, 1, 3)"),
        ("functions", "left(a, -1)", "left(a, 1)"),
        ("syntax", "timestamp '2026-01-05 10:00:00+05:00'", "timestamp '2026-01-05 10:00:00'"),
        ("casts", "cast('2026-01-05T10:00:00+05:00' as timestamp)", "cast(date '2026-01-05' as timestamp)"),
        ("casts", "cast(a as timestamptz)", "cast(changed_at as timestamp)"),
        ("casts", "cast(a as timestamp with time zone)", "cast(null as timestamp)"),
        ("syntax", "a at time zone 'UTC'", "a"),
        ("syntax", "paid_date + interval 1 day", "{{ add_days('paid_date', 1) }}"),
        ("syntax", "paid_date + interval '1 day'", "paid_date + 1"),
        ("subtraction", "paid_date - t.launch_date", "{{ days_between('t.launch_date', 'paid_date') }}"),
        ("subtraction", "max(ended_at) - min(started_at)", "{{ seconds_between('min(started_at)', 'max(ended_at)') }}"),
        ("subtraction", "cast(a as date) - date '2026-01-05'", "cast(a as date) - 1"),
        ("functions", "hash(a)", "md5(a)"),
        ("functions", "max_by(a, b)", "max_by(a, b) filter (where a is not null)"),
        ("functions", "min_by(a, b) filter (where b > 0)", "min_by(a, b) filter (where a is not null)"),
        ("functions", "any_value(a)", "min(a)"),
        ("functions", "monthname(a)", "case extract(month from a) when 1 then 'January' end"),
        ("functions", "log(a)", "power(a, 2)"),
        # unknown to Spark
        ("syntax", "7 // 2", "floor(7 / 2)"),
        ("syntax", "2 ** 3", "power(2, 3)"),
        ("functions", "xor(a, b)", "a <> b"),
        ("syntax", "* exclude (a)", "b"),
        ("syntax", "* replace (a + 1 as a)", "a + 1 as a"),
        ("functions", "arg_max(a, b)", "max_by(a, b) filter (where a is not null)"),
        ("functions", "sha256(a)", "md5(a)"),
        ("functions", "epoch(a)", "{{ seconds_between('launched_at', 'a') }}"),
        ("functions", "unnest(a)", "n"),
        ("functions", "array_agg(a order by b)", "min(a)"),
        ("functions", "string_agg(a, ',')", "count(distinct a)"),
        ("functions", "listagg(a, ',')", "count(a)"),
        ("functions", "date_diff('day', a, b)", "{{ days_between('a', 'b') }}"),
        ("functions", "date_add(a, 1)", "{{ add_days('a', 1) }}"),
        ("functions", "strftime(a, '%Y')", "year(a)"),
        ("casts", "cast(a as hugeint)", "cast(a as bigint)"),
        # about other things than rows
        ("functions", "current_date", "{{ last_date() }}"),
        ("functions", "now()", "{{ launch_date() }}"),
        ("functions", "a from read_parquet('b')", "a from {{ lake('b', 'c') }}"),
    ],
)
def test_what_the_engines_read_differently_is_refused(linter: Linter, rule: str, refused: str, portable: str) -> None:
    assert refused_by(linter, refused) == {rule}
    assert refused_by(linter, portable) == set()


def test_what_a_macro_renders_is_linted_where_it_is_called(linter: Linter) -> None:
    (violation,) = linter.lint_string("select\n    {{ add_days('now()', 1) }} as a\nfrom t\n").violations
    assert (violation.line_no, violation.rule_code()) == (2, "Portable_PB02")
    assert "use last_date()" in violation.desc()


def test_an_exception_names_its_rule(linter: Linter) -> None:
    sql = "select round(a, 2) as a -- noqa: {}\nfrom t\n"
    assert not linter.lint_string(sql.format("portable.rounding")).violations
    assert linter.lint_string(sql.format("portable.division")).violations


def test_every_model_is_what_duckdb_and_spark_both_read_alike(linter: Linter) -> None:
    files = linter.lint_path(str(DBT_PROJECT_DIR)).files
    assert len(files) >= 30, "the models were not found: check DBT_PROJECT_DIR"
    assert [f"{file.path}:{found.line_no} {found.desc()}" for file in files for found in file.violations] == []
