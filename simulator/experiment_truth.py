"""The truth about experiments: who saw what first, what they did in the seven days after, and what that proves."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from simulator.account_truth import Accounts
from simulator.activity_truth import Activity
from simulator.catalogue import EXPERIMENT_ENDS, EXPERIMENT_GOALS
from simulator.frames import Numbers, Truth, dates, ids, known_where, moments, names, versions
from simulator.plan import DayPlan, Event
from simulator.product import COUNTRIES, DAY, EXPERIMENTS, PLATFORMS, VARIANTS, Bools, Ints, Records

MEASURED_DAYS = 7
TREATMENT_SHARE = 0.5
MISMATCH_BELOW, SIGNIFICANT_BELOW = 0.001, 0.05
FEWEST_USERS, FEWEST_OF_EACH = 355, 20
Z = NormalDist().inv_cdf(0.975)
# By metric: its unit, how many of what is added up make one, and whether more of it is better.
METRICS = {
    "retention_day_7": ("share", 1, True),
    "watch_hours": ("hours", 36_000, True),
    "crash_free_rate": ("share", 1, True),
    "time_to_ready": ("seconds", 1_000, False),
}
# What is added up of users, and over what: without it, over the users themselves.
MEASURED = {
    "retention_day_7": ("is_retained_day_7", None),
    "watch_hours": ("watched", None),
    "crash_free_rate": ("crash_free_sessions", "started_sessions"),
    "time_to_ready": ("waited", "ready_sessions"),
}
GUARDRAILS = ("crash_free_rate", "time_to_ready")


def exposures_of(plan: DayPlan, seen: Records, accounts: Accounts) -> pd.DataFrame:
    """Grain: exposure of a known user in the sessions of the planned day, in the plan's numbers."""
    seen = seen[(seen["kind"] == Event.EXPERIMENT_EXPOSURE) & (seen["who"] > 0)]
    session, event = seen["session"], seen["event"]
    choice = plan.events["choice"][event].astype(np.int64)
    return pd.DataFrame(
        {
            "experiment": choice // len(VARIANTS),
            "variant": choice % len(VARIANTS),
            "user": accounts.numbers(plan)[session, seen["who"] - 1],
            "at": seen["at"],
            "event": plan.event_ids[event],
            "session": plan.session_ids[session],
            "device": plan.device_ids[session],
            **{name: plan.sessions[name][session] for name in ("platform", "release", "country")},
        }
    )


def experiment_truth(activity: Activity, sessions: pd.DataFrame, exposures: pd.DataFrame) -> Truth:
    """The frames about experiments, each of which began with the launch.

    Args:
        activity: the user-days.
        sessions: in the plan's numbers.
        exposures: likewise.

    Returns:
        experiment_exposure_days: as fct_experiment_exposure_day.
        experiment_exposures: as fct_experiment_exposure.
        experiment_users: as mart_experiment_user.
        experiment_results: as mart_experiment_result.
    """
    exposures = exposures.assign(day=exposures["at"] // DAY).sort_values(["at", "event"], ignore_index=True)
    running = exposures[exposures["at"] < EXPERIMENT_ENDS[exposures["experiment"]]]
    first = running.drop_duplicates(["experiment", "user"]).reset_index(drop=True)
    seen = running[["experiment", "user", "variant"]].drop_duplicates()
    others = seen.groupby(["experiment", "user"]).size().loc[list(zip(first["experiment"], first["user"], strict=True))]
    first["has_seen_others"] = others.to_numpy() > 1
    last_day = first["day"].to_numpy() + MEASURED_DAYS
    measured = (last_day < activity.days) & (last_day < EXPERIMENT_ENDS[first["experiment"]] // DAY)
    outcomes = _outcomes(activity, sessions, first)
    by_day = exposures.drop_duplicates(["experiment", "variant", "user", "day"]).reset_index(drop=True)
    return {
        "experiment_exposure_days": _exposures(activity.accounts, by_day),
        "experiment_exposures": _first_exposures(activity.accounts, first),
        "experiment_users": _users(activity.accounts, first, measured, outcomes),
        "experiment_results": _results(first, outcomes[measured], activity.days),
    }


def _outcomes(activity: Activity, sessions: pd.DataFrame, first: pd.DataFrame) -> pd.DataFrame:
    """What each did in the seven days after the first sight, as far as they are over: watched tenths, waited ms."""
    user, day = first["user"].to_numpy(), first["day"].to_numpy()
    begin, end = (np.minimum(day + after, activity.days) for after in (1, 1 + MEASURED_DAYS))
    rows = activity.within
    known = sessions[sessions["has_user"]]
    order = np.argsort(activity.accounts.ids)
    of = order[np.searchsorted(activity.accounts.ids, known["user"], sorter=order)]
    started, waited = known["has_app_start"].to_numpy(), known["time_to_ready"].to_numpy()

    def after(users: Numbers, days: Numbers, weights: Numbers | Bools) -> Ints:
        """What was added up of those users and days, in the seven days after each first sight."""
        is_within = days < activity.days
        so_far = np.zeros((len(activity.accounts.users), activity.days + 1), dtype=np.int64)
        np.add.at(so_far, (users[is_within], days[is_within] + 1), weights[is_within])
        so_far = so_far.cumsum(axis=1)
        total: Ints = so_far[user, end] - so_far[user, begin]
        return total

    days = known["day"].to_numpy()
    return first.assign(
        is_retained_day_7=activity.is_active[user, end - 1],
        watched=after(rows["user"], rows["day"], rows["watched"]),
        started_sessions=after(of, days, started),
        crash_free_sessions=after(of, days, started & (known["crash_count"].to_numpy() == 0)),
        ready_sessions=after(of, days, waited >= 0),
        waited=after(of, days, np.maximum(waited, 0)),
    )


def _keys(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {
        "experiment_id": names(EXPERIMENTS, rows["experiment"].to_numpy()),
        "variant_id": names(VARIANTS, rows["variant"].to_numpy()),
    }


def _exposures(accounts: Accounts, rows: pd.DataFrame) -> pd.DataFrame:
    product = accounts.product
    event = rows["event"].to_numpy()
    return pd.DataFrame(
        {
            **_keys(rows),
            "user_id": ids("u_", accounts.ids[rows["user"]]),
            "exposure_date": dates(product, rows["day"].to_numpy()),
            "event_id": ids("", event) + ids("", product.ids("event", event)),
            "device_id": ids("d_", rows["device"].to_numpy()),
            "session_id": ids("s_", rows["session"].to_numpy()),
            "exposed_at": moments(product, rows["at"].to_numpy()),
            "platform": names(list(PLATFORMS), rows["platform"].to_numpy()),
            "app_version": names(versions(range(int(rows["release"].max()) + 1)), rows["release"].to_numpy()),
            "country_code": names(list(COUNTRIES), rows["country"].to_numpy()),
        }
    )


def _first_exposures(accounts: Accounts, first: pd.DataFrame) -> pd.DataFrame:
    """The last list of assignments has the accounts that were made by the end of the last day."""
    user = first["user"].to_numpy()
    variant = accounts.users["variant"][user, first["experiment"]].astype(np.int64)
    is_assigned = accounts.day_0[user] < accounts.days
    return _exposures(accounts, first).assign(
        assigned_variant_id=names((*VARIANTS, None), np.where(is_assigned, variant, len(VARIANTS))),
        has_seen_others=first["has_seen_others"],
    )


def _users(accounts: Accounts, first: pd.DataFrame, measured: Bools, outcomes: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **_keys(first),
            "user_id": ids("u_", accounts.ids[first["user"]]),
            "exposure_date": dates(accounts.product, first["day"].to_numpy()),
            "has_seen_others": first["has_seen_others"],
            "is_measured": measured,
            **{
                name: known_where(measured, outcomes[name].to_numpy())
                for name in ("is_retained_day_7", "started_sessions", "crash_free_sessions", "ready_sessions")
            },
            "watched_seconds": known_where(measured, outcomes["watched"].to_numpy() / 10),
            "time_to_ready_seconds": known_where(measured, outcomes["waited"].to_numpy() / 1_000),
        }
    )


def _results(first: pd.DataFrame, outcomes: pd.DataFrame, days: int) -> pd.DataFrame:
    rows = []
    for experiment, variant in first[["experiment", "variant"]].drop_duplicates().itertuples(index=False):
        exposed = first[first["experiment"] == experiment]
        of_variant = exposed[exposed["variant"] == variant]
        uneven = _split_p_value((exposed["variant"] == 1).sum(), len(exposed))
        measured = outcomes[outcomes["experiment"] == experiment]
        for metric, (unit, _, _) in METRICS.items():
            control, estimate = (_estimate(measured[measured["variant"] == one], metric) for one in (0, variant))
            against = _compare(estimate, control) if variant else NO_COMPARISON
            rows.append(
                {
                    "experiment_id": EXPERIMENTS[experiment],
                    "metric": metric,
                    "variant_id": VARIANTS[variant],
                    "metric_role": _role(experiment, metric),
                    "unit": unit,
                    "exposed_users": len(of_variant),
                    "mixed_users": of_variant["has_seen_others"].sum(),
                    **estimate._asdict(),
                    "has_ended": EXPERIMENT_ENDS[experiment] < days * DAY,
                    **against._asdict(),
                    "sample_ratio_p_value": uneven,
                    "has_sample_ratio_mismatch": uneven < MISMATCH_BELOW,
                    "verdict": _verdict(metric, estimate, control, against, uneven) if variant else "baseline",
                }
            )
    return pd.DataFrame(rows)


class Estimate(NamedTuple):
    """What is known of a metric in one variant."""

    users: int
    mean: float
    standard_error: float
    has_enough_users: bool


class Comparison(NamedTuple):
    """What is known of a metric in a variant against the control."""

    difference: float
    lift: float
    lift_low: float
    lift_high: float
    p_value: float


NO_COMPARISON = Comparison(*[math.nan] * 5)


def _estimate(users: pd.DataFrame, metric: str) -> Estimate:
    """A ratio of sums, and how far it would be off in another sample of as many users."""
    measured, over = MEASURED[metric]
    y = users[measured].to_numpy(dtype=np.float64) / METRICS[metric][1]
    x = users[over].to_numpy(dtype=np.float64) if over else np.ones(len(users))
    count, total = len(users), x.sum()
    if not total:
        return Estimate(count, math.nan, math.nan, has_enough_users=False)
    is_enough = (x > 0).sum() >= FEWEST_USERS
    if METRICS[metric][0] == "share":
        is_enough &= min(y.sum(), total - y.sum()) >= FEWEST_OF_EACH
    mean = y.sum() / total
    error = math.sqrt(((y - mean * x) ** 2).sum() * count / (count - 1)) / total if count > 1 else math.nan
    return Estimate(count, mean, error, has_enough_users=bool(is_enough))


def _compare(treatment: Estimate, control: Estimate) -> Comparison:
    """The interval holds each ratio whose distance from the measured one is at most `Z` standard deviations."""
    error = math.hypot(treatment.standard_error, control.standard_error)
    difference = treatment.mean - control.mean
    p_value = _two_sided(abs(difference) / error) if error else math.nan
    squares = [
        control.mean**2 - (Z * control.standard_error) ** 2,
        -2 * control.mean * treatment.mean,
        treatment.mean**2 - (Z * treatment.standard_error) ** 2,
    ]
    low, high = sorted(np.roots(squares).real) if squares[0] > 0 else (math.nan, math.nan)
    lift = treatment.mean / control.mean - 1 if control.mean else math.nan
    return Comparison(difference, lift, low - 1, high - 1, p_value)


def _split_p_value(treated: int, everybody: int) -> float:
    spread = math.sqrt(everybody * TREATMENT_SHARE * (1 - TREATMENT_SHARE))
    return _two_sided(abs(treated - everybody * TREATMENT_SHARE) / spread)


def _two_sided(distance: float) -> float:
    return math.erfc(distance / math.sqrt(2))


def _role(experiment: int, metric: str) -> str:
    if metric == EXPERIMENT_GOALS[experiment]:
        return "goal"
    return "guardrail" if metric in GUARDRAILS else "other"


def _verdict(metric: str, treatment: Estimate, control: Estimate, against: Comparison, uneven: float) -> str:
    if uneven < MISMATCH_BELOW:
        return "not to be trusted: sample ratio mismatch"
    if math.isnan(against.p_value) or not (treatment.has_enough_users and control.has_enough_users):
        return "too few users yet"
    if against.p_value >= SIGNIFICANT_BELOW:
        return "no difference seen"
    return "better" if (against.difference > 0) == METRICS[metric][2] else "worse"
