"""Experiments of which the truth is known, 500 at a time: how often results find it, and how often chance does."""

import math
from collections.abc import Callable
from datetime import date
from functools import cache, partial
from itertools import accumulate

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from tests.unit.compiled_models import Models, compile_models

SEEDS = 500
USERS = 500
"""Of each variant: more than the least that a verdict wants, and few enough that skewed metrics could betray it."""
METRICS = ("retention_day_7", "watch_hours", "crash_free_rate", "time_to_ready")
LESS_IS_BETTER = "time_to_ready"

Run = Callable[[int, float], pa.Table]


def draw(
    rng: np.random.Generator, count: int, *, lift: float = 0.0, crash_rate: float | None = None
) -> dict[str, np.ndarray]:
    """What so many people did in their seven days; every metric is larger by `lift`.

    Half of them rarely come, and some devices crash often and are slow: sessions of one person are alike. The metrics
    of everybody are retention 0.2, watch hours 1.6, crash-free 0.8 (or 1 - crash_rate) and time to ready 2.5 s, each
    x (1 + lift).
    """
    sessions = rng.poisson(np.where(rng.random(count) < 0.5, 1.0, 7.0))
    is_slow = rng.random(count) < 0.25
    crash_free_rate = np.where(is_slow, 0.65, 0.85) if crash_rate is None else 1 - crash_rate
    crash_free = rng.binomial(sessions, (1 + lift) * crash_free_rate)
    waited = (1 + lift) * sessions * np.where(is_slow, 4.0, 2.0) * rng.gamma(4, 1 / 4, count)
    watched = (1 + lift) * sessions * 1_440 * rng.lognormal(-0.5, 1, count)
    return {
        "is_retained_day_7": rng.random(count) < 0.2 * (1 + lift),
        "watched_seconds": watched.round(1),
        "started_sessions": sessions,
        "crash_free_sessions": crash_free,
        "ready_sessions": sessions,
        "time_to_ready_seconds": waited.round(3),
    }


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    models = Models(compile_models(["mart_experiment_result"], tmp_path_factory.mktemp("compiled")))
    models.set_dates(date(2026, 3, 5))
    return models


@pytest.fixture(scope="module")
def run(models: Models) -> Run:
    """Makes the results of 500 experiments, each once."""
    return cache(partial(results_of, models))


def results_of(
    models: Models,
    treated: int,
    lift: float,
    *,
    controls: int = USERS,
    share: float = 0.5,
    crash_rate: float | None = None,
) -> pa.Table:
    """Results of 500 experiments with so many users of the treatment, its lift, so many controls and planned share."""
    drawn = []
    for seed in range(SEEDS):
        rng = np.random.default_rng([20260105, seed])
        for variant, count, change in (("control", controls, 0.0), ("treatment", treated, lift)):
            columns = {"experiment_id": np.full(count, f"exp_{seed}"), "variant_id": np.full(count, variant)}
            drawn.append(pa.table({**columns, **draw(rng, count, lift=change, crash_rate=crash_rate)}))
    models.connection.register("drawn", pa.concat_tables(drawn))
    models.connection.execute("""
        create or replace table mart_experiment_user as
        select *, row_number() over () as user_id, true as is_measured, false as has_seen_others from drawn;
        create or replace table fct_experiment_exposure as from mart_experiment_user
    """)
    build_results(models, share)
    return models.connection.sql("from mart_experiment_result where variant_id = 'treatment'").to_arrow_table()


def build_results(models: Models, share: float = 0.5) -> None:
    """Of all experiments that somebody was exposed to, each with that planned share."""
    models.connection.execute(f"""
        create or replace table dim_experiment as
        select distinct
            experiment_id, 'retention_day_7' as goal_metric, {share}::decimal(18, 4) as treatment_share,
            null::timestamp as ended_at
        from fct_experiment_exposure
    """)
    models.build("mart_experiment_result")


def count(results: pa.Table, condition: str) -> dict[str, int]:
    """In how many of the experiments it holds, by metric."""
    with duckdb.connect() as connection:
        connection.register("results", results)
        found = connection.execute(
            f"select metric, count(*) filter ({condition}) from results group by metric"
        ).fetchall()
    assert len(found) == len(METRICS)
    return dict(found)


def band(chance: float) -> range:
    """How often out of 500 it happens in 99.9% of all cases, each with that chance (the exact binomial quantiles)."""
    terms = [math.comb(SEEDS, k) * chance**k * (1 - chance) ** (SEEDS - k) for k in range(SEEDS + 1)]
    at_most = list(accumulate(terms))
    first = next(k for k, share in enumerate(at_most) if share > 0.0005)
    last = next(k for k, share in enumerate(at_most) if share >= 0.9995)
    return range(first, last + 1)


def test_a_band_is_narrow_enough_to_fail() -> None:
    assert band(0.05) == range(11, 43)
    assert band(0.001).stop <= 6


def test_where_nothing_differs_one_in_twenty_seems_to(run: Run) -> None:
    for metric, found in count(run(USERS, 0.0), "p_value < 0.05").items():
        assert found in band(0.05), metric
    for metric, found in count(run(USERS, 0.0), "verdict = 'no difference seen'").items():
        assert found in band(0.95), metric
    assert count(run(USERS, 0.0), "has_sample_ratio_mismatch") == dict.fromkeys(METRICS, 0)


@pytest.mark.parametrize("tenth", range(10))
def test_p_values_are_uniform_where_nothing_differs(run: Run, tenth: int) -> None:
    for metric, found in count(run(USERS, 0.0), f"floor(p_value * 10) = {tenth}").items():
        assert found in band(0.1), metric


@pytest.mark.parametrize("lift", [0.0, -0.05, 0.1])
def test_intervals_hold_the_true_lift_19_times_in_20(run: Run, lift: float) -> None:
    for metric, found in count(run(USERS, lift), f"{lift} between lift_low and lift_high").items():
        assert found in band(0.95), metric


def test_sessions_of_one_person_are_not_taken_for_many_people(models: Models) -> None:
    """Were each session a sample of its own, one in three A/A tests of waiting would find something, not one in 20."""
    assert count(results_of(models, USERS, 0.0), "p_value < 0.05")["time_to_ready"] in band(0.05)
    [(found,)] = models.connection.execute("""
        with rates as (
            select
                experiment_id, variant_id, sum(time_to_ready_seconds) / sum(ready_sessions) as mean,
                sqrt(var_samp(time_to_ready_seconds / nullif(ready_sessions, 0)) / sum(ready_sessions)) as error
            from mart_experiment_user group by all
        )
        select count(*) from rates as one join rates as other using (experiment_id)
        where one.variant_id < other.variant_id
            and abs(one.mean - other.mean) > 1.96 * sqrt(one.error ** 2 + other.error ** 2)
    """).fetchall()
    assert found > 0.3 * SEEDS


def test_a_rare_outcome_that_one_side_never_saw_is_no_finding(models: Models) -> None:
    """Without a crash its standard error would be 0: by chance alone one in four of these would be `better`."""
    results = results_of(models, 360, 0.0, controls=3_240, share=0.1, crash_rate=0.001)
    assert count(results, "p_value < 0.05")["crash_free_rate"] > band(0.05).stop
    assert count(results, "verdict = 'too few users yet'")["crash_free_rate"] == SEEDS


def test_a_large_lift_is_found_and_called_by_its_name(run: Run) -> None:
    better, worse = (count(run(USERS, -0.5), f"verdict = '{verdict}'") for verdict in ("better", "worse"))
    assert {metric for metric, found in better.items() if found > 0.99 * SEEDS} == {LESS_IS_BETTER}
    assert {metric for metric, found in worse.items() if found > 0.99 * SEEDS} == {*METRICS} - {LESS_IS_BETTER}


def test_a_split_that_lost_three_in_ten_of_the_treatment_is_found_before_anything_else(run: Run) -> None:
    results = run(int(0.7 * USERS), 0.0)
    verdict = "verdict = 'not to be trusted: sample ratio mismatch'"
    assert min(count(results, verdict).values()) > 0.99 * SEEDS


def test_a_fair_split_is_called_a_mismatch_once_in_a_thousand_times(models: Models) -> None:
    rng = np.random.default_rng(7)
    treated = rng.binomial(2 * USERS, 0.5, SEEDS)
    connection = models.connection
    connection.register("splits", pa.table({"seed": np.arange(SEEDS), "treated": treated}))
    connection.execute(f"""
        create or replace table fct_experiment_exposure as
        select 'exp_' || seed as experiment_id, if(n < treated, 'treatment', 'control') as variant_id,
            false as has_seen_others
        from splits cross join range({2 * USERS}) as users(n);
        delete from mart_experiment_user
    """)
    build_results(models)
    found = connection.execute("""
        select count(distinct experiment_id) filter (sample_ratio_p_value < 0.05),
            count(distinct experiment_id) filter (has_sample_ratio_mismatch)
        from mart_experiment_result
    """).fetchall()[0]
    assert found[0] in band(0.05)
    assert found[1] in band(0.001)


def test_p_values_are_those_of_the_error_function(models: Models) -> None:
    """Of a split of n users of whom all are treated, the distance from one half is the root of n."""
    connection = models.connection
    connection.execute("""
        create or replace table fct_experiment_exposure as
        select 'exp_' || n as experiment_id, 'treatment' as variant_id, false as has_seen_others
        from range(1, 1400) as counts(n) cross join range(1400) as users(u) where u < n
    """)
    build_results(models)
    found = connection.execute(
        "select distinct exposed_users, sample_ratio_p_value from mart_experiment_result order by exposed_users"
    ).fetchall()
    assert len(found) == 1399
    for users, p_value in found:
        assert p_value == pytest.approx(math.erfc(math.sqrt(users / 2)), rel=1e-11), users
