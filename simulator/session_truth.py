"""The truth about sessions, what was watched in them, their crashes, and the devices that they were on.

Made one planned day at a time, and complete then: a session lies within one.
"""

import numpy as np
import pandas as pd

from simulator.frames import Numbers, Truth, dates, ids, known_where, moments, names, versions
from simulator.plan import NEVER, DayPlan, Event
from simulator.product import COUNTRIES, DAY, MODELS, PLATFORMS, SYSTEMS, Floats, Ints, Product, Records
from simulator.runs import Runs
from simulator.seen import ACTIVITY

ABOUT_PLAYBACKS = [Event.PLAYBACK_START, Event.PLAYBACK_HEARTBEAT, Event.PLAYBACK_STOP]
PHASES = ("startup", "browse", "playback")
ERROR_CODES = (None, "out_of_memory", "null_pointer", "timeout")
STARTUP_SECONDS_SINCE = 2  # minor version of the app
TRAITS = ("platform", "model", "system", "release", "country")
TABLET = "iPad Air"  # the only one among the models


def sessions_of(plan: DayPlan, seen: Records) -> pd.DataFrame:
    """Grain: session of the planned day, in the plan's numbers."""
    runs = Runs.of(seen["session"])
    session, kind = seen["session"][runs.first], seen["kind"]
    last_named = runs.most(np.where(seen["named"] > 0, np.arange(len(seen)), -1))
    started = runs.least(np.where(kind == Event.APP_START, seen["at"], NEVER))
    ready = runs.least(np.where(kind == Event.APP_READY, seen["at"], NEVER))
    is_crash = kind == Event.APP_CRASH
    is_startup = is_crash & (plan.events["choice"][seen["event"]] < len(ERROR_CODES))
    return pd.DataFrame(
        {
            "session": plan.session_ids[session],
            "device": plan.device_ids[session],
            "user": plan.user_ids[session, np.maximum(seen["named"][last_named], 1) - 1],
            "has_user": last_named >= 0,
            "user_count": runs.any(seen["who"] == 1).astype(np.int64) + runs.any(seen["who"] == 2),
            "day": seen["at"][runs.first] // DAY,
            "started": seen["at"][runs.first],
            "ended": seen["at"][runs.last],
            "time_to_ready": np.where((ready < NEVER) & (started <= ready), ready - started, -1),
            **{name: plan.sessions[name][session] for name in TRAITS},
            "event_count": runs.length,
            "crash_count": runs.total(is_crash),
            "has_app_start": started < NEVER,
            "has_app_ready": ready < NEVER,
            "has_playback_start": runs.any(kind == Event.PLAYBACK_START),
            "has_startup_crash": runs.any(is_startup),
            "is_used": runs.any(np.isin(kind, ACTIVITY)),
        }
    )


def playbacks_of(plan: DayPlan, seen: Records) -> pd.DataFrame:
    """Grain: playback of the planned day, in the plan's numbers."""
    seen = seen[np.isin(seen["kind"], ABOUT_PLAYBACKS)]
    seen = seen[np.lexsort((plan.events["play"][seen["event"]], seen["session"]))]  # stable: in order of time
    events, kind = plan.events[seen["event"]], seen["kind"]
    runs = Runs.of(seen["session"], events["play"])
    session, first = seen["session"][runs.first], runs.first
    who = seen["who"][first]
    starts = kind == Event.PLAYBACK_START
    tells = starts & (plan.sessions["release"][seen["session"]] >= STARTUP_SECONDS_SINCE)
    return pd.DataFrame(
        {
            "playback": plan.playback_ids[seen["event"][first]],
            "session": plan.session_ids[session],
            "device": plan.device_ids[session],
            "user": plan.user_ids[session, np.maximum(who, 1) - 1],
            "has_user": who > 0,
            "title": events["title"][first],
            "day": seen["at"][first] // DAY,
            "started": runs.least(np.where(starts, seen["at"], NEVER)),
            "ended": seen["at"][runs.last],
            "watched": runs.total(np.where(kind == Event.PLAYBACK_HEARTBEAT, tenths(events["seconds"]), 0)),
            "stopped": runs.most(np.where(kind == Event.PLAYBACK_STOP, tenths(events["position"]), -1)),
            "waited": runs.most(np.where(tells, tenths(events["seconds"]), -1)),
            "heartbeat_count": runs.total(kind == Event.PLAYBACK_HEARTBEAT),
            "has_start": runs.any(starts),
            "has_stop": runs.any(kind == Event.PLAYBACK_STOP),
            **{name: plan.sessions[name][session] for name in TRAITS},
        }
    )


def crashes_of(plan: DayPlan, seen: Records) -> pd.DataFrame:
    """Grain: crash of the planned day, in the plan's numbers."""
    seen = seen[seen["kind"] == Event.APP_CRASH]
    session, event = seen["session"], seen["event"]
    return pd.DataFrame(
        {
            "event": plan.event_ids[event],
            "session": plan.session_ids[session],
            "device": plan.device_ids[session],
            "user": plan.user_ids[session, np.maximum(seen["who"], 1) - 1],
            "has_user": seen["who"] > 0,
            "at": seen["at"],
            "choice": plan.events["choice"][event],
            **{name: plan.sessions[name][session] for name in TRAITS},
        }
    )


def session_truth(product: Product, sessions: pd.DataFrame, playbacks: pd.DataFrame, crashes: pd.DataFrame) -> Truth:
    """The frames that have a row for each of what was seen.

    Returns:
        sessions: as fct_session, without its surrogate key; times in seconds.
        playbacks: as fct_playback, likewise.
        crashes: as fct_crash, likewise. The simulated clients do not tell during which playback they crashed.
        devices: as dim_device.
    """
    return {
        "sessions": _sessions(product, sessions),
        "playbacks": _playbacks(product, playbacks),
        "crashes": _crashes(product, crashes),
        "devices": _devices(product, sessions),
    }


def tenths(seconds: Floats) -> Ints:
    """Tenths of a second: as exactly as they are logged, and added up without error."""
    return np.rint(seconds.astype(np.float64) * 10).astype(np.int64)


def _sessions(product: Product, rows: pd.DataFrame) -> pd.DataFrame:
    started = rows["has_app_start"].to_numpy()
    to_ready = rows["time_to_ready"].to_numpy()
    return pd.DataFrame(
        {
            **_ids(rows),
            "user_count": rows["user_count"],
            "session_date": dates(product, rows["day"].to_numpy()),
            "started_at": moments(product, rows["started"].to_numpy()),
            "ended_at": moments(product, rows["ended"].to_numpy()),
            "duration_seconds": (rows["ended"] - rows["started"]) / 1_000,
            "time_to_ready_seconds": known_where(to_ready >= 0, to_ready / 1_000),
            **_traits(rows),
            **{
                name: rows[name]
                for name in ("event_count", "crash_count", "has_app_start", "has_app_ready", "has_playback_start")
            },
            "has_startup_crash": rows["has_startup_crash"],
            "is_crash_free": known_where(started, rows["crash_count"].to_numpy() == 0),
        }
    )


def _playbacks(product: Product, rows: pd.DataFrame) -> pd.DataFrame:
    stopped, waited = rows["stopped"].to_numpy(), rows["waited"].to_numpy()
    return pd.DataFrame(
        {
            "playback_id": ids("p_", rows["playback"].to_numpy()),
            **_ids(rows),
            "title_id": "title_" + rows["title"].astype(str),
            "playback_date": dates(product, rows["day"].to_numpy()),
            "started_at": moments(product, rows["started"].to_numpy()),
            "ended_at": moments(product, rows["ended"].to_numpy()),
            "watched_seconds": rows["watched"] / 10,
            "stop_position_seconds": known_where(stopped >= 0, stopped / 10),
            "startup_seconds": known_where(waited >= 0, waited / 10),
            **{name: rows[name] for name in ("heartbeat_count", "has_start", "has_stop")},
            **_traits(rows),
        }
    ).drop(columns=["device_model", "os_version"])


def _crashes(product: Product, rows: pd.DataFrame) -> pd.DataFrame:
    event, choice = rows["event"].to_numpy(), rows["choice"].to_numpy()
    return pd.DataFrame(
        {
            "event_id": ids("", event) + ids("", product.ids("event", event)),
            **_ids(rows),
            "crash_date": dates(product, rows["at"].to_numpy() // DAY),
            "crashed_at": moments(product, rows["at"].to_numpy()),
            "phase": names(PHASES, choice // len(ERROR_CODES)),
            "error_code": names(ERROR_CODES, choice % len(ERROR_CODES)),
            **_traits(rows),
        }
    )


def _devices(product: Product, sessions: pd.DataFrame) -> pd.DataFrame:
    rows = sessions.sort_values(["device", "started"], ignore_index=True)
    runs = Runs.of(rows["device"].to_numpy())
    latest = rows.iloc[runs.last].reset_index(drop=True)
    traits = _traits(latest)
    used = rows[["device", "release"]].drop_duplicates()
    return pd.DataFrame(
        {
            "device_id": ids("d_", latest["device"].to_numpy()),
            "form_factor": _form_factors(traits["platform"], traits["device_model"]),
            **traits,
            "first_app_version": _versions(rows["release"].to_numpy()[runs.first]),
            "app_version_count": Runs.of(used["device"].to_numpy()).length,
            "first_session_date": dates(product, runs.least(rows["day"].to_numpy())),
            "last_session_date": dates(product, runs.most(rows["day"].to_numpy())),
            "session_count": runs.length,
        }
    )


def _form_factors(platform: pd.Series, model: pd.Series) -> pd.Series:
    mobile = model.map({TABLET: "tablet"}).fillna("phone")
    return platform.map({"tv": "television", "web": "browser"}).fillna(mobile)


def _ids(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {
        "session_id": ids("s_", rows["session"].to_numpy()),
        "device_id": ids("d_", rows["device"].to_numpy()),
        "user_id": ids("u_", rows["user"].to_numpy(), rows["has_user"].to_numpy()),
    }


def _traits(rows: pd.DataFrame) -> dict[str, pd.Series]:
    platform, model, system = (rows[name].to_numpy().astype(np.int64) for name in ("platform", "model", "system"))
    return {
        "platform": names(list(PLATFORMS), platform),
        "device_model": names(sum(MODELS.values(), ()), 4 * platform + model),
        "os_version": names(sum(SYSTEMS.values(), ()), 4 * platform + system),
        "app_version": _versions(rows["release"].to_numpy()),
        "country_code": names(list(COUNTRIES), rows["country"].to_numpy()),
    }


def _versions(releases: Numbers) -> pd.Series:
    return names(versions(range(int(releases.max(initial=0)) + 1)), releases)
