"""Who looks at the metrics finds what the full story planted, without knowing it."""

import pandas as pd
import pytest

from simulator.frames import Truth
from simulator.product import (
    BAD_DAYS,
    BAD_RELEASE,
    DARK_COUNTRY,
    DARK_FROM,
    DARK_UNTIL,
    DAY,
    DEMO_USERS,
    EXPERIMENTS,
    HOUR,
    LIFT,
    Product,
)
from simulator.truth import knowable

DARK_DAY, DARK_HOURS = DARK_FROM // DAY, range(DARK_FROM % DAY // HOUR, DARK_UNTIL % DAY // HOUR)
BAD_VERSION = f"1.{BAD_RELEASE}.0"

Told = tuple[Product, Truth]


@pytest.fixture(scope="module", params=[11, Product.seed])
def full(request: pytest.FixtureRequest) -> Told:
    """The full story until the country was dark."""
    product = Product(seed=request.param, users=DEMO_USERS, story="full")
    return product, knowable(product, product.date_of(DARK_DAY))


@pytest.fixture(scope="module")
def without() -> Told:
    """The same people, to whom nothing happens."""
    product = Product(users=DEMO_USERS, story="launch")
    return product, knowable(product, product.date_of(DARK_DAY))


def drivers(told: Told, day: int, kind: str) -> pd.DataFrame:
    """The segments of one kind on a day, the one that cost the most users first."""
    product, truth = told
    rows = truth["metric_driver"]
    of_day = rows[(rows["activity_date"] == product.date_of(day)) & (rows["segment_type"] == kind)]
    return of_day.sort_values("rate_effect_rank")


@pytest.mark.parametrize("day", BAD_DAYS)
@pytest.mark.parametrize(
    ("kind", "value"),
    [("release", f"android {BAD_VERSION}"), ("platform", "android"), ("app_version", BAD_VERSION)],
)
def test_the_bad_release_cost_the_most_users_of_all_by_far(full: Told, day: int, kind: str, value: str) -> None:
    first, second, *_ = drivers(full, day, kind).to_dict("records")
    assert first["segment_value"] == value
    assert first["rate_effect"] < 10 * min(second["rate_effect"], -1)


@pytest.mark.parametrize("day", BAD_DAYS)
def test_the_bad_release_crashes_at_start_up_most(full: Told, day: int) -> None:
    product, truth = full
    rows = truth["app_stability_daily"]
    of_day = rows[(rows["session_date"] == product.date_of(day)) & (rows["segment_type"] == "release")]
    of_size = of_day[of_day["started_sessions"] >= 20]
    first, second, *_ = of_size.sort_values("startup_crash_rate", ascending=False).to_dict("records")
    assert first["segment_value"] == f"android {BAD_VERSION}"
    assert first["startup_crash_rate"] > 0.5
    assert second["startup_crash_rate"] < 0.1


def test_before_the_bad_days_no_release_costs_as_many(full: Told) -> None:
    for day in range(7, BAD_DAYS.start):
        assert drivers(full, day, "release")["rate_effect"].min() > -20


def test_the_hours_in_which_the_country_was_dark_fell_shortest_of_the_day(full: Told) -> None:
    product, truth = full
    rows = truth["activity_hourly"]
    of_day = rows[rows["activity_date"] == product.date_of(DARK_DAY)].sort_values("shortfall_rank")
    worst = of_day.head(len(DARK_HOURS))
    assert set(worst["country_code"]) == {DARK_COUNTRY}
    assert sorted(worst["hour_of_day"]) == list(DARK_HOURS)
    assert worst["deviation_score"].max() < -3 < of_day["deviation_score"].iloc[len(DARK_HOURS)]


def verdicts(told: Told) -> dict[str, str]:
    """What is said of the goal of each experiment."""
    rows = told[1]["experiment_results"]
    goals = rows[(rows["metric_role"] == "goal") & (rows["variant_id"] == "treatment")]
    return dict(zip(goals["experiment_id"], goals["verdict"], strict=True))


def test_of_three_experiments_one_works_one_does_nothing_and_one_is_broken(full: Told) -> None:
    assert verdicts(full) == {
        "exp_home_rows": "better",
        "exp_autoplay": "no difference seen",
        "exp_new_player": "not to be trusted: sample ratio mismatch",
    }
    rows = full[1]["experiment_results"]
    (planted,) = rows[
        (rows["experiment_id"] == "exp_home_rows")
        & (rows["metric"] == "retention_day_7")
        & (rows["variant_id"] == "treatment")
    ].to_dict("records")
    assert planted["lift_low"] < LIFT - 1 < planted["lift_high"]


def first_days(told: Told) -> pd.DataFrame:
    """Day-1 retention by what happened on the first day."""
    rows = told[1]["retention_driver"]
    return rows[(rows["driver"] == "first_day") & (rows["day_number"] == 1)].set_index("driver_value")


def test_who_crashed_or_found_nothing_to_watch_comes_back_less(full: Told) -> None:
    found = first_days(full)
    assert found.loc[["crashed", "neither"], "is_beyond_noise"].all()
    assert (found.loc[["crashed", "neither"], "retention_high"] < found.loc["watched", "retention_low"]).all()


def test_where_nothing_happens_nothing_is_found(without: Told) -> None:
    product, truth = without
    for day in BAD_DAYS:
        assert drivers(without, day, "release")["rate_effect"].min() > -20
    hours = truth["activity_hourly"]
    assert hours.loc[hours["activity_date"] == product.date_of(DARK_DAY), "deviation_score"].min() > -3
    assert verdicts(without) == dict.fromkeys(EXPERIMENTS, "no difference seen")
    assert not first_days(without)["is_beyond_noise"].any()
