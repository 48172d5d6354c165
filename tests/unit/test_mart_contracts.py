"""The contracts of the marts: green on clean marts, and each check seen red."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pytest
import yaml

from contracts import load_event_contracts
from contracts.tables import load_table_contracts
from quality import gate
from quality.contract import CONTRACTS_DIR
from quality.gate import Report
from quality.reconciliation import events_by_day
from storage.days import days_between
from storage.engine import connect
from storage.files import sha256
from storage.lake import Partition
from storage.settings import PROJECT_DIR, load_settings

LAUNCH, LAST = date(2026, 1, 5), date(2026, 1, 20)
GAP = date(2026, 1, 8)
AFTER_FOUR_WEEKS = date(2026, 2, 10)
"""Hours, and days of the same weekday, are compared with those of the four weeks before them."""
COMPARED_WITH_FOUR_WEEKS = {"mart_activity_hourly", "weekday_usual"}
MARTS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CONTRACTS_DIR / "marts").glob("*.yml"))}

LANDED = {"subscription_changes": 4, "payments": 7, "experiments": 1}

# What is a fact about the product or the world, so that it warns and does not block. All other rules block.
WARNINGS = {
    *("renewed_in_time", "app_start_arrived", "start_arrived", "sign_up_arrived", "dollars_known"),
    *("countries_known", "country_known", "titles_known", "plan_known"),
    *("charged_as_listed", "charged_once", "cancelled_for_good"),
    *("experiments_known", "assignments_kept", "goal_known", "share_between"),
    *("crashes_usual", "weekday_usual", "watching_usual", "split_as_planned", "started_once"),
}
# What is only said; test_what_could_not_be_compared_yet_is_a_note shows it.
NOTES = {"cold_start"}

# What breaks each rule, one statement or more for each query in the contracts; `this` is the table itself.
DAMAGES: dict[str, dict[str, list[str]]] = {
    "bridge_user_device": {
        "device_weights_sum": [
            "update this set device_weight = device_weight / 2 where user_id = 'u1'",
            "update this set device_weight = device_weight + 1e-8 where user_id = 'u2' and device_id = 'du1'",
            "update this set device_weight = null where user_id = 'u1'",
        ],
        "user_weights_sum": [
            "update this set user_weight = 1 where device_id = 'du1'",
            "update this set user_weight = null where device_id = 'du1'",
        ],
        "days_agree": [
            "update this set active_day_count = active_day_count + 1 where user_id = 'u1'",
            "update this set first_activity_date = first_activity_date - 1 where user_id = 'u1'",
            "update this set last_activity_date = last_activity_date + 1 where user_id = 'u1'",
            "delete from this where user_id = 'u1'",
            "insert into this select * replace ('dx' as device_id) from this limit 1",
        ],
        "device_known": ["delete from dim_device where device_id = 'du1'"],
    },
    "dim_country": {
        "namibia_present": [
            "delete from this where country_code = 'NA'",
            "update this set country_code = null where country_code = 'NA'",
            "update this set is_aggregate = true where country_code = 'NA'",
        ],
        "groups_right": [
            "update this set region_name = 'Aggregates' where is_aggregate",
            "update this set income_group = 'Aggregates' where is_aggregate",
            "update this set lending_type = 'Aggregates' where is_aggregate",
            "update this set region_name = null where country_code = 'NA'",
            "update this set region_name = region_name || ' ' where country_code = 'NA'",
            "update this set income_group = income_group || ' ' where country_code = 'NA'",
            "update this set lending_type = lending_type || ' ' where country_code = 'NA'",
        ],
        "countries_known": [
            "update fct_session set country_code = 'TW' where device_id = 'du1'",
            "update dim_user set country_code = 'TW' where user_id = 'u1'",
            "update this set is_aggregate = true where country_code = 'DE'",
        ],
    },
    "dim_date": {
        "days_complete": [
            "delete from this where date_day = '2026-01-07'",
            "insert into this select * replace (date '2026-02-01' as date_day) from this limit 1",
        ],
        "calendar_right": [
            "update this set iso_week = iso_week + 1 where date_day = '2026-01-07'",
            "update this set is_weekend = null where date_day = '2026-01-07'",
        ],
    },
    "dim_device": {
        "sessions_agree": [
            "update this set session_count = session_count + 1 where device_id = 'du1'",
            "update this set last_session_date = last_session_date + 1 where device_id = 'du1'",
            "update this set app_version_count = 1 where device_id = 'du2'",
            "delete from this where device_id = 'du1'",
            "insert into this select * replace ('dx' as device_id) from this limit 1",
        ],
        "versions_agree": ["update this set first_app_version = '0.9.0' where device_id = 'du1'"],
        "form_factor_right": [
            "update this set form_factor = 'phone' where device_id = 'du1'",
            "update this set form_factor = 'television' where device_id = 'du1'",
            "update this set platform = 'ios' where device_id = 'du3'",
            "update this set form_factor = null where device_id = 'du3'",
        ],
    },
    "dim_experiment": {
        "rows_present": [
            "delete from this",
            "insert into this select * replace ('another' as experiment_id) from this",
        ],
        "times_agree": [
            "update this set ended_at = started_at",
        ],
        "goal_known": ["update this set goal_metric = 'conversion'"],
        "share_between": ["update this set treatment_share = 1", "update this set treatment_share = 0"],
    },
    "dim_landed_date": {
        "days_complete": [
            "delete from this where date_day = '2026-01-07'",
            "insert into this values ('2026-02-01')",
        ],
    },
    "dim_plan": {
        "key_right": [
            "update this set plan_key = md5(plan_id || currency_code)",
            "update this set plan_key = null",
        ],
    },
    "dim_title": {"titles_known": ["update fct_playback set title_id = 'withdrawn' where user_id = 'u1'"]},
    "dim_user": {
        "versions_follow": [
            "update this set valid_to = valid_to - interval 1 second where not is_current",
            "update this set valid_to = '2026-02-01' where user_id = 'u2'",
            "update this set is_current = true",
            "update this set is_current = false where user_id = 'u2'",
            "update this set version_number = 2 where user_id = 'u2'",
        ],
        "versions_differ": [
            "update this set country_code = 'NA' where user_id = 'u0'",
            "update this set country_code = 'NA', birth_year = null where user_id = 'u0'",
        ],
        "closed_for_good": ["update this set account_status = 'closed' where user_id = 'u0' and not is_current"],
        "created_once": [
            "update this set created_at = created_at - interval 1 second where user_id = 'u0' and is_current",
            "update this set created_at = created_at + interval 1 second where user_id = 'u2'",
            "update this set created_date = created_date + 1 where user_id = 'u2'",
            "update this set created_date = created_date + 1 where user_id = 'u0' and is_current",
        ],
        "dates_in_range": [
            "update this set valid_from = '2026-01-04 23:59:59' where user_id = 'u2'",
            "update this set valid_from = '2026-01-21' where user_id = 'u2'",
            "update this set valid_from = null where user_id = 'u2'",
        ],
        "sign_up_has_account": ["delete from this where user_id = 'u2'"],
        "sign_up_arrived": [
            "update this set created_date = '2026-01-07'; update fct_user_activity_day set has_signed_up = false",
        ],
    },
    "fct_event_day": {
        "landed_agree": [
            "update this set copy_count = copy_count + 1 where event_date = '2026-01-07'",
            "delete from this where event_date = '2026-01-07'",
            "insert into this values ('2026-01-21', 1, 0, 0)",
            "update this set event_count = event_count - 1 where event_date = '2026-01-07'",
        ],
        "copies_fit": [
            "update this set event_count = copy_count + 1 where event_date = '2026-01-07'",
            "update this set late_event_count = event_count + 1 where event_date = '2026-01-07'",
        ],
        "dates_in_range": [
            "update this set event_date = '2026-01-04' where event_date = '2026-01-07'",
            "update this set event_date = '2026-01-22' where event_date = '2026-01-07'",
            "update this set event_date = null where event_date = '2026-01-07'",
        ],
        "days_present": [
            "delete from this where event_date = '2026-01-20'",
            "update this set event_count = 0 where event_date = '2026-01-07'",
        ],
        "hours_agree": [
            "update this set event_count = event_count - 1 where event_date = '2026-01-07'",
            "delete from this where event_date = '2026-01-07'",
            "update fct_activity_hour set event_count = event_count + 1 where hour_of_day = 7",
            "delete from fct_activity_hour where hour_of_day = 7",
        ],
        "sessions_agree": [
            "update this set event_count = event_count - 1 where event_date = '2026-01-07'",
            "delete from fct_session where device_id = 'da'",
        ],
    },
    "fct_activity_hour": {
        "dates_in_range": [
            "update this set activity_date = '2026-01-04' where activity_date = '2026-01-07'",
            "update this set activity_date = '2026-01-22' where activity_date = '2026-01-07'",
            "update this set activity_date = null where activity_date = '2026-01-07'",
        ],
        "counts_fit": [
            "update this set active_devices = event_count + 1 where hour_of_day = 7",
            "update this set active_users = event_count + 1 where hour_of_day = 7",
        ],
        "users_agree": [
            "update this set active_users = active_users + 1 where activity_date = '2026-01-07'",
            "update this set active_users = 0 where activity_date = '2026-01-07'",
            "update this set event_count = event_count - 1 where activity_date = '2026-01-07'",
            "delete from this where activity_date = '2026-01-07'",
            "delete from fct_user_activity_day where activity_date = '2026-01-07'",
        ],
    },
    "fct_country_indicator_year": {
        "no_future_year": ["update this set year = 2027"],
        "aggregates_agree": [
            "update this set is_aggregate = not is_aggregate",
            "update this set is_aggregate = null where country_code = 'NA'",
        ],
        "country_known": ["delete from dim_country where country_code = 'NA'"],
    },
    "fct_crash": {
        "rows_present": [
            "delete from this where user_id = 'u2'",
            "update this set session_key = 'unknown' where user_id = 'u2'",
            "update this set phase = 'browse' where user_id = 'u2'",
            "update this set phase = 'startup' where user_id = 'u5'",
            "insert into this select * replace ('another' as event_id) from this where user_id = 'u2'",
            "update fct_session set crash_count = 2 where crash_count = 1",
        ],
        "dates_in_range": [
            "update this set crash_date = crash_date + 1 where user_id = 'u2'",
            "update this set crashed_at = '2026-01-04', crash_date = '2026-01-04' where user_id = 'u2'",
            "update this set crashed_at = '2026-01-22', crash_date = '2026-01-22' where user_id = 'u2'",
            "update this set crashed_at = null, crash_date = null where user_id = 'u2'",
        ],
        "within_session": [
            "update this set device_id = 'du1' where user_id = 'u2'",
            "update this set session_id = 'unknown' where user_id = 'u2'",
            "update this set session_key = 'unknown' where user_id = 'u2'",
            "update this set crashed_at = crashed_at - interval 2 minute where user_id = 'u2'",
            "update this set crashed_at = crashed_at + interval 1 hour where user_id = 'u2'",
        ],
    },
    "fct_experiment_exposure": {
        "rows_present": [
            "delete from this where user_id = 'u1'",
            "insert into this select * replace ('u9' as user_id) from this where user_id = 'u1'",
            "update this set exposed_at = exposed_at + interval 1 second where user_id = 'u1'",
            "update this set event_id = 'other' where user_id = 'u1'",
            "update this set has_seen_others = false where user_id = 'u3'",
            "update this set has_seen_others = true where user_id = 'u1'",
            "update dim_experiment set ended_at = timestamp '2026-01-06'",
            "update dim_experiment set started_at = timestamp '2026-01-07'",
        ],
        "days_agree": [
            "update this set variant_id = 'control' where user_id = 'u1'",
            "update this set country_code = 'ZA' where user_id = 'u1'",
            "update this set platform = 'ios' where user_id = 'u1'",
            "update this set exposure_date = exposure_date + 1 where user_id = 'u1'",
        ],
        "experiments_known": ["update this set experiment_id = 'unlisted' where user_id = 'u1'"],
        "assignments_kept": [
            "update this set assigned_variant_id = 'control' where user_id = 'u1'",
            "update this set assigned_variant_id = null where user_id = 'u1'",
        ],
    },
    "fct_experiment_exposure_day": {
        "rows_present": [
            "delete from this where user_id = 'u1'",
            "update this set event_id = 'other' where user_id = 'u1'",
        ],
        "dates_in_range": [
            "update this set exposure_date = exposure_date + 1 where user_id = 'u2'",
            "update this set exposed_at = '2026-01-04', exposure_date = '2026-01-04' where user_id = 'u2'",
            "update this set exposed_at = '2026-01-22', exposure_date = '2026-01-22' where user_id = 'u2'",
            "update this set exposed_at = null, exposure_date = null where user_id = 'u2'",
        ],
        "within_session": [
            "update this set session_id = 'unknown' where user_id = 'u2'",
            "update this set device_id = 'unknown' where user_id = 'u2'",
            "update this set exposed_at = exposed_at - interval 1 minute where user_id = 'u2'",
            "update this set exposed_at = exposed_at + interval 1 hour where user_id = 'u2'",
        ],
    },
    "fct_fx_rate_day": {
        "days_complete": [
            "delete from this where rate_date = '2026-01-07' and currency_code = 'EUR'",
            "update this set units_per_eur = 1.1 where currency_code = 'EUR'",
            "update this set age_days = 1 where currency_code = 'EUR'",
            "insert into this select * replace (date '2026-01-04' as rate_date) from this where currency_code = 'EUR'",
            "insert into this select * replace (date '2026-01-04' as rate_date) from this where currency_code = 'USD'",
        ],
        "newest_carried": [
            "update this set age_days = 0",
            "update this set published_date = '2026-01-06', age_days = 2 where rate_date = '2026-01-08'",
        ],
        "dollars_agree": [
            "update this set usd_per_eur = 1.2 where rate_date = '2026-01-08'",
            "update this set usd_per_eur = null where rate_date = '2026-01-08'",
            "delete from this where currency_code = 'USD' and rate_date = '2026-01-08'",
        ],
        "dollars_known": ["update this set usd_per_eur = null where rate_date = '2026-01-20'"],
    },
    "fct_payment": {
        "rows_present": [
            "delete from this where payment_id = 'p1'",
            "update this set change_count = change_count + 1 where payment_id = 'p1'",
        ],
        "states_agree": [
            "update this set is_settled = not is_settled where payment_id = 'p1'",
            "update this set resolved_at = null where payment_id = 'p1'",
            "update this set resolved_at = paid_at where payment_id = 'p4'",
            "update this set resolved_at = paid_at - interval 1 second where payment_id = 'p1'",
        ],
        "dates_in_range": [
            "update this set paid_date = paid_date + 1 where payment_id = 'p1'",
            "update this set paid_at = '2026-01-04', paid_date = '2026-01-04' where payment_id = 'p1'",
            "update this set paid_at = '2026-01-21', paid_date = '2026-01-21' where payment_id = 'p1'",
            "update this set paid_at = null, paid_date = null where payment_id = 'p1'",
        ],
        "settled_in_dollars": ["update this set amount_usd = null where payment_id = 'p2'"],
        "rate_right": [
            "update this set amount_usd = amount where payment_id = 'p2'",
            "update this set amount_usd = amount_usd + 0.0002 where payment_id = 'p2'",
            "update this set amount_usd = null where payment_id = 'p4'",
            "update this set currency_code = 'BRL' where payment_id = 'p2'",
            "update this set paid_date = '2026-02-01' where payment_id = 'p2'",
        ],
        "revenue_right": [
            "update this set revenue_usd = amount_usd where payment_id = 'p3'",
            "update this set revenue_usd = amount_usd where payment_id = 'p4'",
            "update this set revenue_usd = 0 where payment_id = 'p2'",
            "update this set revenue_usd = null where payment_id = 'p2'",
        ],
        "charged_when_active": [
            "update this set subscription_id = 's2' where payment_id = 'p2'",
            "update this set subscription_id = 'unknown' where payment_id = 'p4'",
            "update this set paid_at = '2026-01-12 23:59:59', paid_date = '2026-01-12' where payment_id = 'p1'",
        ],
        "charged_as_listed": [
            "update this set amount = 100 * amount where payment_id = 'p2'",
            "update this set amount = amount / 100 where payment_id = 'p4'",
            "update this set amount = 21.9601 where payment_id = 'p1'",
            "update this set amount = 1.3724 where payment_id = 'p1'",
            "update dim_plan set monthly_price = 0 where currency_code = 'EUR'",
        ],
        "charged_once": [
            "insert into this select * replace ('p9' as payment_id) from this where payment_id = 'p2'",
            "update this set paid_date = '2026-01-15' where payment_id = 'p4'",
            "update this set status = 'settled', paid_date = '2026-01-15' where payment_id = 'p1'",
        ],
        "refund_has_charge": [
            "update this set amount = 1000 * amount where payment_id = 'p3'",
            "update this set amount = amount + 0.0001 where payment_id = 'p3'",
            "delete from this where payment_id = 'p2'",
            "update this set is_settled = false where payment_id = 'p2'",
            "update this set currency_code = 'BRL' where payment_id = 'p3'",
            "update this set subscription_id = 'unknown' where payment_id = 'p3'",
            "update this set resolved_at = null, amount = 2 * amount where payment_id = 'p3'",
        ],
        "payer_agrees": [
            "update this set user_id = 'u1' where payment_id = 'p1'",
            "update this set currency_code = 'BRL' where payment_id = 'p1'",
        ],
        "segments_agree": [
            "update this set plan_id = 'premium' where payment_id = 'p1'",
            "update this set plan_id = null where payment_id = 'p1'",
            "update this set country_code = 'DE' where payment_id = 'p1'",  # from where the account has moved on day 3
            "update this set country_code = null where payment_id = 'p1'",
            "update fct_subscription_change set plan_id = 'premium' where change_id = 3",
            "update dim_user set country_code = 'DE' where user_id = 'u0'",
        ],
    },
    "fct_playback": {
        "dates_in_range": [
            "update this set playback_date = '2026-01-04' where user_id = 'u1'",
            "update this set playback_date = '2026-01-22' where user_id = 'u1'",
            "update this set playback_date = null where user_id = 'u1'",
        ],
        "times_agree": [
            "update this set playback_date = playback_date + 1 where user_id = 'u1'",
            "update this set playback_date = playback_date - 1 where user_id = 'u1'",
            "update this set started_at = ended_at + interval 1 second where user_id = 'u1'",
            "update this set started_at = started_at - interval 1 hour where user_id = 'u1'",
            "update this set ended_at = ended_at + interval 1 hour where user_id = 'u1'",
            "update this set session_key = 'unknown' where user_id = 'u1'",
        ],
        "sessions_agree": [
            "delete from this where user_id = 'u1'",
            "update this set has_start = false where user_id = 'u1'",
            "update fct_session set has_playback_start = false where user_id = 'u1'",
        ],
        "events_agree": [
            "update this set started_at = null where user_id = 'u1'",
            "update this set stop_position_seconds = null where user_id = 'u1'",
            "update this set has_start = false, started_at = null where user_id = 'u1'",
            "update this set has_stop = false where user_id = 'u1'",
            "update this set heartbeat_count = 0 where user_id = 'u1'",
        ],
        "watched_before_stop": ["update this set watched_seconds = stop_position_seconds + 1.1 where user_id = 'u1'"],
        "start_arrived": ["update this set has_start = false, playback_date = '2026-01-08'"],
    },
    "fct_session": {
        "times_agree": [
            "update this set session_date = session_date + 1 where device_id = 'du1'",
            "update this set ended_at = started_at - interval 1 hour where device_id = 'du1'",
            "update this set duration_seconds = null where device_id = 'du1'",
        ],
        "dates_in_range": [
            "update this set session_date = '2026-01-04' where device_id = 'du1'",
            "update this set session_date = '2026-01-22' where device_id = 'du1'",
            "update this set session_date = null where device_id = 'du1'",
        ],
        "time_to_ready_agrees": [
            "update this set time_to_ready_seconds = 1 where not has_app_ready",
            "update this set time_to_ready_seconds = 0 where device_id = 'da'",
            "update this set time_to_ready_seconds = duration_seconds + 1 where device_id = 'du1'",
        ],
        "renewed_in_time": ["update this set duration_seconds = 12 * 3600 + 1 where device_id = 'du1'"],
        "seen_as_a_whole": ["update this set duration_seconds = 24 * 3600 + 1 where device_id = 'du1'"],
        "device_known": ["delete from dim_device where device_id = 'du1'"],
        "users_agree": [
            "update this set user_id = null where device_id = 'du1'",
            "update this set user_count = 0 where device_id = 'du1'",
        ],
        "crashes_agree": [
            "update this set is_crash_free = null where device_id = 'du1'",
            "update this set is_crash_free = true where device_id = 'da'",
            "update this set has_startup_crash = true where device_id = 'du1'",
        ],
        "app_start_arrived": ["update this set has_app_start = false, session_date = '2026-01-08'"],
    },
    "fct_subscription_change": {
        "rows_present": [
            "delete from this where change_id = 4",
            "insert into this select * replace (5 as change_id) from this where change_id = 4",
        ],
        "changes_follow": [
            "update this set change_number = 2 where change_id = 4",
            "update this set previous_status = 'active' where change_id = 4",
            "update this set previous_plan_id = 'premium' where change_id = 2",
            "update this set next_changed_at = null where change_id = 2",
            "update this set next_changed_at = '2026-01-20' where change_id = 4",
        ],
        "dates_in_range": [
            "update this set change_date = change_date + 1 where change_id = 4",
            "update this set changed_at = '2026-01-04', change_date = '2026-01-04' where change_id = 4",
            "update this set changed_at = '2026-01-21', change_date = '2026-01-21' where change_id = 4",
            "update this set changed_at = null, change_date = null where change_id = 4",
        ],
        "one_owner": [
            "update this set user_id = 'u1' where change_id = 2",
            "update this set currency_code = 'BRL' where change_id = 2",
        ],
        "cancelled_for_good": [
            "update this set previous_status = 'cancelled' where change_id = 2",
            (
                "insert into this select * replace (5 as change_id, 'trial' as status, 'cancelled' as previous_status) "
                "from this where change_id = 3"
            ),
        ],
        "user_known": ["delete from dim_user where user_id = 'u3'"],
        "plan_known": ["delete from dim_plan where currency_code = 'EUR'"],
    },
    "fct_user_activity_day": {
        "dates_in_range": [
            "update this set activity_date = '2026-01-04' where user_id = 'u1'",
            "update this set activity_date = '2026-01-22' where user_id = 'u1'",
        ],
        "flags_agree": [
            "update this set is_active = not is_active where user_id = 'u1'",
            "update this set has_opened = false where has_used",
        ],
        "counts_fit": [
            "update this set crash_count = 3 where user_id = 'u1'",
            "update this set playback_start_count = 1 where not has_used",
        ],
        "crashes_agree": [
            "update this set crash_count = 0 where user_id = 'u2'",
            "update this set crash_count = 1 where user_id = 'u1' and activity_date = '2026-01-07'",
            "update this set activity_date = activity_date + 1 where user_id = 'u2'",
            "delete from fct_crash where user_id = 'u2'",
        ],
        "started_once": [
            "update this set playback_start_count = 2 where user_id = 'u1' and activity_date = '2026-01-07'",
            "update fct_playback set user_id = null where user_id = 'u1'",
        ],
        "playbacks_agree": [
            "update this set watched_seconds = watched_seconds + 2 where user_id = 'u1'",
            "update this set activity_date = activity_date - 1 where user_id = 'u1' and activity_date = '2026-01-07'",
            "update fct_playback set user_id = null where user_id = 'u1'",
        ],
    },
    "fct_user_device_day": {
        "user_days_agree": [
            "update this set event_count = event_count + 1 where device_id = 'du1'",
            "delete from this where user_id = 'u3' and activity_date = '2026-01-09'",
            "insert into this select * replace ('ux' as user_id) from this limit 1",
        ],
    },
    "mart_active_days_distribution": {
        "days_complete": [
            "delete from this where activity_date = '2026-01-07' and active_days = 7",
            "insert into this select * replace (date '2026-02-01' as activity_date) from this limit 1",
            "insert into this select * replace (8 as active_days) from this where active_days = 7 and window_days = 7",
        ],
        "users_agree": [
            "update this set user_count = user_count + 1 where activity_date = '2026-01-07' and active_days = 2",
            "update this set user_count = null where activity_date = '2026-01-07'",
            "update this set user_count = null where activity_date = '2026-01-07' and active_days = 7",
            "update this set is_full_window = not is_full_window where activity_date = '2026-01-14'",
            "update this set is_full_window = null where activity_date = '2026-01-14'",
            "update this set is_full_window = false where activity_date = '2026-01-14' and active_days = 7",
        ],
        "user_days_agree": [
            "update this set active_days = 4 - active_days where active_days between 1 and 3",
            "delete from fct_user_activity_day where user_id = 'u1' and activity_date = '2026-01-07'",
        ],
        "last_day_agrees": [
            "update this set active_days = 4 - active_days where active_days between 1 and 3",
            "update this set user_count = 1 where activity_date = '2026-01-20' and user_count = 0",
        ],
    },
    "mart_active_users_daily": {
        "days_complete": [
            "delete from this where activity_date = '2026-01-07'",
            "insert into this select * replace (date '2026-02-01' as activity_date) from this limit 1",
        ],
        "users_agree": [
            "update this set active_users = active_users + 1 where activity_date = '2026-01-07'",
            "update this set used_users = used_users + 1 where activity_date = '2026-01-07'",
            "update this set opened_users = opened_users + 1 where activity_date = '2026-01-07'",
            "update this set active_users = null where activity_date = '2026-01-07'",
        ],
        "anonymous_devices_agree": [
            "update this set anonymous_devices = anonymous_devices + 1 where activity_date = '2026-01-05'",
            "update this set anonymous_devices = null where activity_date = '2026-01-05'",
        ],
        "status_right": [
            "update this set is_gap = true where activity_date = '2026-01-07'",
            "update this set is_provisional = not is_provisional where activity_date = '2026-01-18'",
        ],
    },
    "mart_active_users_rolling": {
        "weekday_usual": [
            "update this set active_users = if(activity_date = '2026-02-10', 30, 100) where segment_value = 'tv'",
            "update this set active_users = if(activity_date = '2026-02-10', 201, 100) where segment_value = 'all'",
        ],
        "days_complete": [
            "delete from this where activity_date = '2026-01-07' and segment_value = 'tv' and window_days = 28",
            "delete from this where segment_type = 'total'",
            "insert into this select * replace (date '2026-02-01' as activity_date) from this limit 1",
        ],
        "segments_add_up": [
            "update this set active_users = active_users + 1 where segment_value = 'tv' and window_days = 7",
            "update this set active_users = active_users + 1 where segment_type = 'total'",
            "delete from this where segment_type = 'app_version'",
        ],
        "regions_agree": [
            "update this set segment_value = 'High' where segment_value = 'High income'",
            "update dim_country set region_name = 'Africa' where country_code = 'NA'",
            "update this set active_users = active_users + 1 where segment_type = 'region'",
        ],
        "days_agree": [
            "update this set active_users = active_users + 1 where segment_type = 'total' and window_days = 1",
            "update this set segment_value = if(segment_value = 'tv', 'web', 'tv') where segment_type = 'platform'",
            "update this set segment_value = if(segment_value = 'NA', 'DE', 'NA') where segment_type = 'country'",
            "update this set active_users = 6 where segment_value = '1.1.0' and active_users = 1",
            "update mart_active_users_daily set active_users = active_users + 1",
        ],
        "last_day_agrees": [
            "update this set active_users = 5 where active_users = 6 and window_days = 28",
            "update this set active_users = active_users + 1 where segment_type = 'total' and window_days = 7",
            "update this set segment_value = if(segment_value = 'tv', 'web', 'tv') where segment_type = 'platform'",
            "update fct_user_activity_day set is_active = true, activity_date = '2026-01-20' where user_id = 'u1'",
        ],
        "windows_nested": [
            "update this set active_users = 9 where window_days = 1 and segment_value = 'tv'",
            "update this set active_users = 9 where window_days = 7 and segment_value = 'tv'",
            "update this set active_users = 9 where window_days = 28 and segment_value = 'tv'",
        ],
        "known_when_it_can_be": [
            "update this set active_users = null where activity_date = '2026-01-07' and segment_value = 'tv'",
            "update this set is_full_window = not is_full_window where activity_date = '2026-01-11'",
            "update this set is_full_window = true where window_days = 365",
            "update this set is_full_window = null",
        ],
    },
    "mart_activity_hourly": {
        "hours_complete": [
            "delete from this where activity_date = '2026-01-07' and hour_of_day = 3 and country_code = 'DE'",
            "delete from this where country_code = 'NA'",
            "insert into this select * replace (date '2026-03-01' as activity_date) from this limit 1",
        ],
        "hours_agree": [
            "update this set event_count = event_count + 1 where hour_of_day = 3",
            "update this set active_devices = active_devices + 1 where hour_of_day = 5",
            "update this set active_users = active_users + 1 where hour_of_day = 5",
            "update this set event_count = null where hour_of_day = 3",
            "update this set hour_of_day = 6 where hour_of_day = 5",
        ],
        "expected_right": [
            "update this set compared_days = 4 where activity_date = '2026-02-01'",
            "update this set expected_active_devices = 0.5 where activity_date = '2026-02-02'",
            "update this set expected_active_devices = null where activity_date = '2026-02-02'",
            "update this set expected_active_devices = 1 where activity_date = '2026-02-01'",
            "update this set active_devices = null where activity_date = '2026-01-26'",
            (
                "update this set hour_of_day = 12 - hour_of_day where activity_date = '2026-01-12' "
                "and hour_of_day in (5, 7)"
            ),
            "update this set country_code = if(country_code = 'NA', 'DE', 'NA') where activity_date = '2026-01-12'",
        ],
        "score_right": [
            "update this set deviation_score = 0 where hour_of_day = 3",
            "update this set deviation_score = -deviation_score",
            "update this set deviation_score = null",
            "update this set active_devices = active_devices + 1",
        ],
        "ranks_right": [
            "update this set shortfall_rank = 1 where hour_of_day = 3",
            "update this set shortfall_rank = null",
            "update this set shortfall_rank = shortfall_rank + 1",
            "update this set deviation_score = 0 where shortfall_rank = 1",
            "update this set shortfall_rank = 3 - shortfall_rank where shortfall_rank <= 2",
        ],
    },
    "mart_app_stability_daily": {
        "crashes_usual": [
            "update this set started_sessions = 100, crash_free_sessions = 0 where segment_value = 'web 1.0.0'",
        ],
        "days_complete": [
            "delete from this where session_date = '2026-01-20'",
            "insert into this select * replace (date '2026-02-01' as session_date) from this limit 1",
        ],
        "sessions_agree": [
            "update this set started_sessions = started_sessions + 1 where segment_value = 'tv'",
            "update this set crash_free_sessions = crash_free_sessions - 1 where segment_type = 'total'",
            "update this set startup_crash_sessions = startup_crash_sessions + 1 where segment_value = '1.1.0'",
            "update this set ready_sessions = ready_sessions + 1 where segment_value = 'web 1.0.0'",
            "update this set started_sessions = null where session_date = '2026-01-20'",
            "delete from this where segment_value = 'tv' and session_date = '2026-01-08'",
            "insert into this (session_date, segment_type, segment_value) values ('2026-01-20', 'platform', 'ios')",
        ],
        "rates_right": [
            "update this set crash_free_rate = crash_free_rate / 2",
            "update this set startup_crash_rate = startup_crash_rate + 0.1",
            "update this set crash_free_rate = null where session_date = '2026-01-07'",
            "update this set startup_crash_rate = 0 where started_sessions = 0",
            "update this set startup_crash_sessions = 1, startup_crash_rate = 1 / started_sessions",
        ],
        "times_agree": [
            "update this set time_to_ready_p50_seconds = time_to_ready_p95_seconds + 1",
            "update this set time_to_ready_p50_seconds = null where session_date = '2026-01-07'",
            "update this set time_to_ready_p95_seconds = 3 where ready_sessions = 0",
        ],
        "percentiles_right": [
            "update this set time_to_ready_p50_seconds = time_to_ready_p50_seconds - 0.1",
            "update this set time_to_ready_p50_seconds = time_to_ready_p95_seconds + 0.1",
            "update this set time_to_ready_p95_seconds = time_to_ready_p50_seconds - 0.1",
            "update this set time_to_ready_p95_seconds = time_to_ready_p95_seconds + 0.1",
        ],
    },
    "mart_business_climate": {
        "countries_complete": [
            "delete from this where country_code = 'NA'",
            "update this set country_code = 'QQ' where country_code = 'NA'",
        ],
        "countries_agree": [
            "update this set is_aggregate = false where country_code = '1W'",
            "update this set country_name = null where country_code = 'NA'",
            "update this set region_name = income_group where country_code = 'NA'",
            "update this set income_group = region_name where country_code = 'NA'",
        ],
        "latest_agree": [
            "update this set gni_usd = gni_usd * 8 / 9 where country_code = 'NA'",
            "update this set gni_usd_year = 2023 where country_code = 'NA'",
            "update this set gni_usd_year = null where country_code = 'NA'",
            "update this set gdp_constant_usd = gdp_per_head_constant_usd",
            "update this set gdp_per_head_constant_usd = gdp_constant_usd",
            "update this set startup_cost_percent = startup_days, startup_days = startup_cost_percent",
            "update this set startup_days = null",
            "update this set startup_procedures = null, startup_procedures_year = null where country_code = 'NA'",
            "update this set regulation_rating = null where country_code = 'NA'",
            "update this set regulation_rating = 3, regulation_rating_year = 2023 where country_code = 'DE'",
            "update this set ease_of_business_rank = 1 where country_code = 'DE'",
            "update fct_country_indicator_year set year = year + 1",
        ],
        "startup_cost_right": [
            "update this set startup_cost_usd = startup_cost_usd * 100",
            "update this set startup_cost_usd = null where country_code = 'NA'",
            "update this set startup_cost_per_head_usd = startup_cost_usd",
            "update this set startup_cost_per_head_usd = null where country_code = 'NA'",
            "update fct_country_indicator_year set value = 1 where year = 2019 and indicator_id = 'SP.POP.TOTL'",
            "update fct_country_indicator_year set value = value + 0.5 where indicator_id = 'SP.POP.TOTL'",
            "update fct_country_indicator_year set value = 1 where year = 2019 and indicator_id like 'NY.GNP%'",
        ],
    },
    "mart_country_stats": {
        "countries_agree": [
            "update this set is_aggregate = false where country_code = '1W'",
            "update this set country_name = null where country_code = 'NA'",
            "update this set region_name = 'Africa' where country_code = 'NA'",
            "update this set income_group = 'Low income' where country_code = 'NA'",
        ],
        "values_agree": [
            "update this set population = population + 1 where country_code = 'NA'",
            "update this set population_0_14 = population_65_up, population_65_up = population_0_14",
            "update this set population_15_64 = null where country_code = '1W'",
            "update this set broadband_subscriptions = 0 where broadband_subscriptions is null",
            "update this set mobile_subscriptions = broadband_subscriptions",
            "delete from this where country_code = 'NA' and year = 2023",
            "update this set year = year + 1",
        ],
    },
    "mart_engagement_daily": {
        "watching_usual": [
            "update this set active_users = 50, watch_hours_per_active_user = if(activity_date = '2026-01-14', 2, 1)",
            "update this set active_users = 50, watch_hours_per_active_user = if(activity_date = '2026-01-14', 0.5, 1)",
        ],
        "users_agree": [
            "update this set active_users = active_users + 1 where segment_value = 'tv'",
            "update this set active_users_28d = active_users_28d + 1 where segment_value = 'tv'",
            "update this set is_full_window = true where segment_value = 'tv'",
            "update this set active_users = null where segment_value = 'tv'",
            "delete from this where segment_value = 'tv' and activity_date = '2026-01-07'",
            "insert into this select * replace (date '2026-02-01' as activity_date) from this limit 1",
        ],
        "watching_agrees": [
            "update this set watching_users = watching_users + 1 where segment_type = 'total'",
            "update this set playback_count = playback_count + 1 where segment_value = 'High income'",
            "update this set watch_hours = watch_hours + 0.001 where segment_value = 'tv'",
            "update this set watching_users = null where segment_value = 'tv'",
            "update this set playback_count = null where segment_value = 'tv'",
            "update this set watch_hours = null where segment_value = 'tv'",
            "update fct_user_activity_day set watched_seconds = watched_seconds + 4 where user_id = 'u1'",
        ],
        "rates_right": [
            "update this set stickiness = stickiness / 2",
            "update this set stickiness = null",
            "update this set watch_hours_per_active_user = watch_hours_per_active_user * 2",
            "update this set watch_hours_per_active_user = null where active_users > 0",
            "update this set watch_hours_per_active_user = 0 where active_users = 0",
        ],
    },
    "mart_experiment_result": {
        "split_as_planned": ["update this set has_sample_ratio_mismatch = true"],
        "rows_present": [
            "delete from this where metric = 'watch_hours' and variant_id = 'treatment'",
            "delete from mart_experiment_user where user_id = 'u1'",
            "update this set exposed_users = 4",
            "update this set mixed_users = 0",
            "update this set users = users - 1 where metric = 'time_to_ready'",
            "update dim_experiment set experiment_id = 'another'",
        ],
        "means_right": [
            "update this set mean = mean * 1.00001 where metric = 'watch_hours'",
            "update this set mean = null where metric = 'crash_free_rate'",
            "update this set standard_error = standard_error * 1.00001 where metric = 'time_to_ready'",
            "update this set standard_error = null where metric = 'time_to_ready'",
            "update this set has_enough_users = true where metric = 'time_to_ready'",
            "update mart_experiment_user set watched_seconds = watched_seconds + 1 where user_id = 'u1'",
        ],
        "comparison_right": [
            "update this set difference = -difference where metric = 'time_to_ready'",
            "update this set difference = null where metric = 'time_to_ready'",
            "update this set difference = 0 where variant_id = 'control'",
            "update this set lift = lift + 0.1, lift_high = lift_high + 1 where metric = 'time_to_ready'",
            "update this set lift = null where metric = 'time_to_ready'",
            "update this set p_value = 0.04 where metric = 'time_to_ready' and variant_id = 'treatment'",
            "update this set p_value = null where metric = 'time_to_ready'",
            "update this set p_value = 1 where variant_id = 'control'",
            "update this set lift_low = null where metric = 'time_to_ready'",
            "update this set lift_low = lift + 0.01 where metric = 'time_to_ready'",
            "update this set lift_low = 0.01, lift = 0.02, lift_high = 0.03 where metric = 'time_to_ready'",
        ],
        "split_right": [
            "update this set sample_ratio_p_value = 0.04",
            "update this set sample_ratio_p_value = 0.0001",
            "update this set sample_ratio_p_value = null where metric = 'watch_hours'",
            "update this set has_sample_ratio_mismatch = true",
            "update dim_experiment set treatment_share = 0.01",
        ],
        "verdict_right": [
            "update this set verdict = 'better' where variant_id = 'treatment'",
            "update this set verdict = 'no difference seen'",
            "update this set has_sample_ratio_mismatch = true",
            "update this set has_enough_users = true, p_value = 0.01",
            "update this set has_enough_users = true, p_value = 0.01, difference = 1, verdict = 'worse'",
            "update this set has_enough_users = true, p_value = 0.01, difference = -1, verdict = 'worse'",
            "update this set has_enough_users = variant_id = 'treatment', p_value = 0.01, verdict = 'better'",
        ],
        "end_right": [
            "update this set has_ended = not has_ended",
            "update dim_experiment set ended_at = timestamp '2026-01-20 01:00'",
        ],
    },
    "mart_experiment_user": {
        "rows_present": [
            "delete from this where user_id = 'u1'",
            "insert into this select * replace ('u9' as user_id) from this where user_id = 'u1'",
            "update this set variant_id = 'control' where user_id = 'u1'",
            "update this set exposure_date = exposure_date - 1 where user_id = 'u1'",
            "update this set has_seen_others = true where user_id = 'u1'",
        ],
        "measured_right": [
            "update this set is_measured = false where user_id = 'u1'",
            "update this set exposure_date = date '2026-01-14' where user_id = 'u1'",
            "update dim_experiment set ended_at = timestamp '2026-01-13 23:00'",
            *(
                f"update this set {column} = null where user_id = 'u1'"
                for column in (
                    *("is_retained_day_7", "watched_seconds", "started_sessions", "crash_free_sessions"),
                    *("ready_sessions", "time_to_ready_seconds"),
                )
            ),
        ],
        "outcomes_agree": [
            "update this set is_retained_day_7 = not is_retained_day_7 where user_id = 'u1'",
            "update this set watched_seconds = watched_seconds + 1 where user_id = 'u1'",
            "update this set started_sessions = started_sessions + 1 where user_id = 'u1'",
            "update this set crash_free_sessions = crash_free_sessions + 1 where user_id = 'u1'",
            "update this set ready_sessions = ready_sessions + 1 where user_id = 'u1'",
            "update this set time_to_ready_seconds = time_to_ready_seconds + 1 where user_id = 'u1'",
            "delete from fct_session where user_id = 'u1' and session_date > '2026-01-06'",
            "delete from fct_user_activity_day where user_id = 'u1' and activity_date > '2026-01-06'",
        ],
    },
    "mart_growth_accounting": {
        "periods_complete": [
            "delete from this where period_start_date = '2026-01-07'",
            "delete from this where period_grain = 'week' and segment_type = 'total'",
            "insert into this select * replace (date '2026-02-02' as period_start_date) from this limit 1",
        ],
        "states_add_up": [
            "update this set new_users = new_users + 1 where period_start_date = '2026-01-07'",
            "update this set churned_users = churned_users + 1 where period_start_date = '2026-01-07'",
            "update this set previous_active_users = 9, churned_users = 9 - retained_users",
        ],
        "segments_add_up": [
            "update this set active_users = active_users + 1 where segment_type = 'country'",
            "update this set new_users = new_users + 1 where segment_type = 'region'",
            "update this set retained_users = retained_users + 1 where segment_type = 'income_group'",
            "update this set resurrected_users = resurrected_users + 1 where segment_type = 'total'",
            "update this set churned_users = churned_users + 1 where segment_type = 'total'",
            "delete from this where segment_type = 'acquisition_platform'",
        ],
        "active_users_agree": [
            "update this set active_users = active_users + 1 where period_start_date = '2026-01-07'",
            "update this set active_users = active_users + 1 where period_grain = 'week'",
        ],
        "new_users_agree": [
            "update this set new_users = new_users + 1 where period_start_date = '2026-01-07'",
            "update this set new_users = new_users + 1 where period_grain = 'week'",
            "update dim_user set acquisition_platform = 'tv' where user_id = 'u1'",
            "update fct_user_activity_day set activity_date = activity_date + 1 where user_id = 'u1'",
        ],
        "retained_users_agree": [
            "update this set retained_users = 1 where period_start_date = '2026-01-20'",
            (
                "update fct_user_activity_day set activity_date = activity_date + 10, is_active = true "
                "where user_id = 'u3'"
            ),
        ],
        "known_when_it_can_be": [
            "update this set active_users = null where period_start_date = '2026-01-07'",
            "update this set previous_active_users = null where period_start_date = '2026-01-07'",
            "update this set new_users = null where period_start_date = '2026-01-07'",
            "update this set retained_users = null where period_start_date = '2026-01-07'",
            "update this set resurrected_users = null where period_start_date = '2026-01-07'",
            "update this set churned_users = null where period_start_date = '2026-01-07'",
            "update this set active_users = 0 where active_users is null",
            "update this set new_users = 0 where new_users is null",
        ],
    },
    "mart_market_penetration": {
        "users_agree": [
            "update this set active_users = active_users + 1 where segment_value = 'NA'",
            "update this set active_users = null where segment_value = 'NA'",
            "update this set is_full_window = true where segment_value = 'NA'",
            "delete from this where segment_value = 'NA' and activity_date = '2026-01-07'",
            "insert into this select * replace (date '2026-02-01' as activity_date) from this limit 1",
        ],
        "markets_agree": [
            "update this set population = 9000 where segment_value = 'Sub-Saharan Africa'",  # of Namibia alone
            "update this set population = population + 1 where segment_type = 'income_group'",
            "update this set population = 575000 where segment_type = 'total'",  # with the aggregate
            "update this set segment_value = 'unknown' where segment_value = 'Sub-Saharan Africa'",
            "update this set population = null where segment_value = 'NA'",
            "update this set mobile_subscriptions = population where segment_value = 'DE'",
            "update fct_country_indicator_year set year = 2025 where year = 2019",
            "update dim_country set income_group = 'High income' where country_code = 'ZA'",
        ],
        "rates_right": [
            "update this set users_per_million_people = users_per_million_people / 1000",
            "update this set users_per_million_people = users_per_million_mobile_subscriptions",
            "update this set users_per_million_people = null where segment_value = 'NA'",
            "update this set users_per_million_people = 0, active_users = null where segment_value = 'NA'",
            "update this set users_per_million_mobile_subscriptions = users_per_million_people",
            "update this set users_per_million_mobile_subscriptions = null where segment_value = 'NA'",
        ],
        "ranks_right": [
            "update this set users_per_million_people_rank = 3 - users_per_million_people_rank",
            "update this set users_per_million_people_rank = 2 where segment_value = 'all'",
            "update this set users_per_million_people_rank = null where segment_value = 'NA'",
            "update this set users_per_million_people = 15 where segment_type = 'country'",
            "update this set users_per_million_mobile_subscriptions_rank = 1",
            "update this set users_per_million_mobile_subscriptions = null where segment_value = 'DE'",
        ],
        "changes_right": [
            "update this set users_per_million_people_change = 0",
            "update this set users_per_million_people_change = null where segment_value = 'NA'",
            "update this set users_per_million_people_rank_change = -users_per_million_people_rank_change",
            "update this set users_per_million_mobile_subscriptions_change = users_per_million_people_change",
            "update this set users_per_million_mobile_subscriptions_rank_change = 0 where activity_date < '2026-01-12'",
            "delete from this where activity_date = '2026-01-07'",
        ],
    },
    "mart_metric_driver": {
        "days_complete": [
            "delete from this where activity_date = '2026-01-20'",
            "insert into this select * replace (date '2026-02-01' as activity_date) from this limit 1",
        ],
        "users_agree": [
            "update this set attempted_users = attempted_users + 1 where segment_type = 'total'",
            "update this set successful_users = successful_users + 1 where segment_value = 'tv'",
            "update this set successful_users = null where segment_value = 'web 1.1.0'",
            "delete from this where segment_value = '1.1.0'",
            "update fct_user_activity_day set app_version = '1.2.0' where user_id = 'u1'",
        ],
        "previous_agree": [
            "update this set previous_attempted_users = previous_attempted_users + 1 where segment_value = 'tv'",
            "update this set previous_successful_users = previous_successful_users + 1 where segment_value = 'tv'",
            "update this set previous_success_rate = previous_success_rate / 2 where segment_value = 'tv'",
            "update this set previous_success_rate = null where segment_value = 'tv'",
            "delete from this where segment_value = 'tv' and activity_date = '2026-01-15'",
        ],
        "effects_add_up": [
            "update this set success_rate = success_rate / 2",
            "update this set success_rate = null",
            "update this set success_rate = 1 where attempted_users = 0",
            "update this set change_users = change_users + 1",
            "update this set volume_effect = volume_effect + 0.001",
            "update this set volume_effect = volume_effect + 1, rate_effect = rate_effect - 1",
            "update this set successful_users = attempted_users + 1",
        ],
        "ranks_right": [
            "update this set rate_effect_rank = rate_effect_rank + 1",
            "update this set rate_effect_rank = null where segment_value = 'tv'",
            "update this set rate_effect_rank = 3 - rate_effect_rank where rate_effect_rank <= 2",
            "update this set rate_effect = 9 where rate_effect_rank = 1",
        ],
        "known_when_it_can_be": [
            "update this set attempted_users = null where segment_value = 'tv'",
            "update this set successful_users = null where segment_value = 'tv'",
            "update this set previous_attempted_users = null where segment_value = 'tv'",
            "update this set previous_successful_users = null where segment_value = 'tv'",
            "update this set change_users = 0 where change_users is null",
            "update this set volume_effect = null where segment_value = 'tv'",
            "update this set rate_effect = null where segment_value = 'tv'",
            "update this set rate_effect_rank = null where segment_value = 'tv'",
        ],
    },
    "mart_region_stats": {
        "countries_agree": [
            "delete from this where year = 2023",
            "update this set country_count = 1 where region_name = 'Sub-Saharan Africa'",
            "insert into this (region_name, year, country_count) values ('Aggregates', 2024, 1)",
        ],
        "sums_agree": [
            "update this set population = population + 1 where year = 2024",
            "update this set population = null where year = 2024",
            "update this set population_0_14 = population_65_up",
            "update this set population_15_64_country_count = 1",
            "update this set broadband_subscriptions = 0 where broadband_subscriptions is null",
            "update this set mobile_subscriptions_country_count = 2 where year = 2024",
            "delete from this where region_name = 'Sub-Saharan Africa'",
            "update dim_country set region_name = 'Africa' where country_code = 'ZA'",
        ],
    },
    "mart_retention_cohort": {
        "cohorts_complete": [
            "delete from this where cohort_grain = 'week' and period_number = 8",
            "update this set cohort_date = cohort_date + 1 where cohort_grain = 'week'",
        ],
        "cohort_users_agree": ["update this set cohort_users = cohort_users + 1"],
        "cohort_users_constant": [
            "update this set cohort_users = 9 where period_number = 3",
            "update this set cohort_users = null where period_number = 3",
        ],
        "retained_at_most_all": [
            "update this set retained_users = cohort_users + 1",
            "update this set cohort_users = null",
        ],
        "rate_right": [
            "update this set retention_rate = retention_rate / 2",
            "update this set retention_rate = null",
            "update this set retention_rate = 0 where retained_users is null",
        ],
        "known_when_it_can_be": [
            "update this set retained_users = 0 where retained_users is null",
            "update this set retained_users = null where period_number = 1",
            "update this set cohort_users = null",
        ],
    },
    "mart_retention_driver": {
        "rows_present": [
            "update this set users = users + 1 where driver = 'first_day'",
            "update this set retained_users = retained_users + 1 where driver = 'region'",
            "delete from this where driver = 'income_group' and day_number = 15",
            "delete from this where driver_value = 'crashed'",
            "update this set day_number = day_number + 1",
        ],
        "values_agree": [
            "update this set driver_value = 'tv' where driver_value = 'web'",
            (
                "update this set driver_value = if(driver_value = 'watched', 'crashed', 'watched') "
                "where driver = 'first_day'"
            ),
            "update this set driver_value = 'neither' where driver_value = 'crashed'",
            "update dim_user set created_date = '2026-01-20' where user_id = 'u1'",
            "update dim_user set created_date = '2025-12-01' where user_id = 'u1'",
        ],
        "rates_right": [
            "update this set retention_rate = retention_rate / 2",
            "update this set retention_rate = null where day_number = 1",
            "update this set overall_retention_rate = overall_retention_rate / 2",
            "update this set overall_retention_rate = null where day_number = 1",
            "update this set users = retained_users - 1, retention_rate = 1",
        ],
        "interval_right": [
            "update this set retention_low = retention_low + 0.01",
            "update this set retention_high = retention_high - 0.01",
            "update this set retention_low = retention_rate, retention_high = retention_rate",
            "update this set retention_low = retention_high, retention_high = retention_low",
            "update this set retention_low = null where day_number = 1",
            "update this set is_beyond_noise = not is_beyond_noise where day_number = 1",
            "update this set is_beyond_noise = null where day_number = 1",
        ],
    },
    "mart_revenue_daily": {
        "days_complete": [
            "delete from this where revenue_date = '2026-01-20'",
            "insert into this select * replace (date '2026-02-01' as revenue_date) from this limit 1",
        ],
        "payments_agree": [
            "update this set charged_usd = charged_usd + 0.0001 where segment_value = 'basic'",
            "update this set refunded_usd = refunded_usd + 0.0001 where segment_type = 'total'",
            "update this set revenue_usd = revenue_usd + 0.0001 where segment_value = 'NA'",
            "update this set paying_users = paying_users + 1 where segment_type = 'region'",
            "update this set charge_count = charge_count + 1 where segment_type = 'total'",
            "update this set refund_count = refund_count + 1 where segment_type = 'total'",
            "update this set pending_count = pending_count + 1 where segment_type = 'total'",
            "update this set charged_usd = null where revenue_date = '2026-01-20'",
            "delete from this where segment_value = 'NA' and revenue_date = '2026-01-15'",
            "insert into this (revenue_date, segment_type, segment_value) values ('2026-01-20', 'plan', 'premium')",
            "update dim_country set income_group = 'High income' where country_code = 'NA'",
        ],
        "revenue_right": [
            "update this set revenue_usd = charged_usd + refunded_usd",
            "update this set revenue_usd = null where revenue_date = '2026-01-20'",
            "update this set paying_users = charge_count + 1",
            "update this set paying_users = 0",
        ],
    },
    "mart_year_stats": {
        "countries_agree": [
            "delete from this where year = 2023",
            "update this set country_count = 4",
            "insert into this (year, country_count) values (2025, 3)",
        ],
        "sums_agree": [
            "update this set population = naive_population",
            "update this set naive_population = population",
            "update this set population_0_14 = null where year = 2024",
            "update this set population_15_64_country_count = 2",
            "update this set broadband_subscriptions = 0 where broadband_subscriptions is null",
            "update this set naive_mobile_subscriptions = null",
            "update fct_country_indicator_year set is_aggregate = false where country_code = '1W'",
        ],
        "world_agrees": [
            "update this set population = naive_population",
            "update this set population = 0.95 * population where year = 2019",
            "update this set population = 1.05 * population where year = 2019",
            "update fct_country_indicator_year set value = 1000 * value where country_code = '1W'",
            "update this set population = null where year = 2019",
            "delete from fct_country_indicator_year where country_code = '1W'",
        ],
        "regions_add_up": [
            "update this set country_count = 4",
            "update this set mobile_subscriptions = naive_mobile_subscriptions",
            "update this set broadband_subscriptions = null",
            "update mart_region_stats set population = population + 1",
            "update mart_region_stats set population_0_14 = 0",
            "update mart_region_stats set population_15_64 = 0",
            "update mart_region_stats set population_65_up = 0",
            "delete from mart_region_stats where region_name = 'Sub-Saharan Africa'",
            "delete from mart_region_stats where year = 2023",
        ],
    },
}


@pytest.fixture(scope="session")
def clean_marts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[date, ...], date], Path]:
    """Databases of clean marts, each made once: six users from launch to a last day, some of the days gaps.

    Beside each lie the landings of its events, as far as the gate looks at them.
    """
    template = Path(__file__).with_name("clean_marts.sql").read_text()

    @cache
    def made(gap_dates: tuple[date, ...], last: date) -> Path:
        path = tmp_path_factory.mktemp("marts") / "clean.duckdb"
        with connect(load_settings(), path) as connection:
            connection.execute(template.format(launch=LAUNCH, last=last, gaps=[str(day) for day in gap_dates]))
            landed = connection.execute("select event_date, copy_count from fct_event_day").fetchall()
        path.with_name("events").mkdir()
        for day, copies in landed:
            copy = duckdb.sql(f"""
                select
                    timestamp '{day}' + to_minutes(range) as event_at,
                    event_at as received_at,
                    '{day} ' || greatest(range, 1) as event_id
                from range({copies})
            """)
            copy.write_parquet(str(path.with_name("events") / f"{day}.parquet"))
        return path

    return made


@pytest.fixture
def marts(
    clean_marts: Callable[[tuple[date, ...], date], Path], tmp_path: Path
) -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Clean marts, to be damaged."""
    with ExitStack() as opened:

        def build(gap_dates: tuple[date, ...] = (), last: date = LAST) -> duckdb.DuckDBPyConnection:
            clean = clean_marts(gap_dates, last)
            path = Path(shutil.copy(clean, tmp_path / "marts.duckdb"))
            (tmp_path / "events").symlink_to(clean.with_name("events"))
            return opened.enter_context(connect(load_settings(), path))

        yield build


def folder_of(connection: duckdb.DuckDBPyConnection) -> Path:
    """Where the database lies."""
    ((path,),) = connection.execute("select path from duckdb_databases() where not internal").fetchall()
    return Path(path).parent


def shortened(table: str, qualifier: str, folder: Path) -> Path:
    """The table's contract with one query alone, and what each contract has to have."""
    needed = {qualifier, "rows_present", "counts_add_up"}
    checks = [
        check
        for check in MARTS[table]["checks"]
        for kind, words in check.items()
        if kind in {"schema", "row_count"} or (words or {}).get("qualifier") in needed
    ]
    columns = [{"name": one["name"], "data_type": one["data_type"]} for one in MARTS[table]["columns"]]
    variables = dict.fromkeys(re.findall(r"\$\{var\.(\w+)\}", str(checks)))
    contract = MARTS[table] | {"checks": checks, "columns": columns, "variables": variables}
    path = folder / f"{table}.yml"
    path.write_text(json.dumps(contract))
    return path


def built_of(
    connection: duckdb.DuckDBPyConnection,
    gap_dates: Sequence[date] = (),
    last: date = LAST,
    days: Sequence[date] | None = None,
) -> gate.Built:
    """What a database says of itself, made of the landings beside it."""
    folder = folder_of(connection) / "events"
    inputs = {
        file: Partition("events", "events", date.fromisoformat(file.stem), 0, "", None, None, file_sha256=sha256(file))
        for file in sorted(folder.glob("*.parquet"))
    }
    days = days or days_between(LAUNCH, last)
    return gate.Built(LAUNCH, last, gap_dates, days, days, LANDED, folder, inputs)


def audit(connection: duckdb.DuckDBPyConnection, gap_dates: tuple[date, ...] = (), last: date = LAST) -> Report:
    built = built_of(connection, gap_dates, last)
    return gate.audit_marts(load_settings(), connection, built, subject="Build 1")


def audit_one(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    gap_dates: tuple[date, ...] = (),
    only: str | None = None,
    judged: Mapping[str, Sequence[date]] = MappingProxyType({}),
) -> dict[str, str]:
    """Outcome by check of one mart's contract; of one of its queries alone, which takes half of the time.

    What days are judged, `restated_dates` and `newly_landed_dates`: all of them, but what `judged` has.
    """
    days = days_between(LAUNCH, AFTER_FOUR_WEEKS)
    landed = events_by_day(load_settings(), built_of(connection, days=days)) if table == "fct_event_day" else []
    report = gate.audit(
        connection,
        [shortened(table, only, folder_of(connection)) if only else CONTRACTS_DIR / "marts" / f"{table}.yml"],
        subject=table,
        variables={
            "launch_date": str(LAUNCH),
            "last_date": str(LAST),
            "gap_dates": str([str(day) for day in gap_dates]),
            **{
                name: str([str(day) for day in judged.get(name, days)])
                for name in ("restated_dates", "newly_landed_dates")
            },
            "landed_events_by_day": str([(str(day), copies, events) for day, copies, events in landed]),
            "late_arrival_days": "3",
            "active_definition": "used",
            **{f"landed_{name}": str(records) for name, records in LANDED.items()},
        },
        salt=b"",
    )
    return {result.name: result.outcome for result in report.results}


@pytest.mark.parametrize(
    ("gap_dates", "last"),
    [
        ((), LAST),
        ((date(2026, 1, 9),), LAST),
        ((LAUNCH, LAST), LAST),
        ((), AFTER_FOUR_WEEKS),
        ((date(2026, 1, 19),), AFTER_FOUR_WEEKS),
    ],
)
def test_clean_marts_pass(
    gap_dates: tuple[date, ...], last: date, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    report = audit(marts(gap_dates, last), gap_dates, last)
    assert report.passed, report.text()
    assert not report.warnings
    assert len(report.results) > 500


@pytest.mark.parametrize(
    ("table", "check", "damage"),
    [(table, check, damage) for table, checks in DAMAGES.items() for check in checks for damage in checks[check]],
)
def test_a_broken_rule_is_seen_by_its_check(
    table: str, check: str, damage: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts(last=AFTER_FOUR_WEEKS if {table, check} & COMPARED_WITH_FOUR_WEEKS else LAST)
    connection.execute(damage.replace("this", table))
    assert audit_one(connection, table, only=check)[check] == ("warned" if check in WARNINGS else "failed")


@pytest.mark.parametrize("table", MARTS)
def test_every_query_of_a_contract_is_seen_red_above(table: str) -> None:
    declared = {check["failed_rows"]["qualifier"] for check in MARTS[table]["checks"] if "failed_rows" in check}
    assert declared
    assert declared - NOTES == DAMAGES[table].keys(), "add to DAMAGES what the new check must see"


@pytest.mark.parametrize("table", MARTS)
def test_every_column_that_must_be_there_fails_on_a_null(
    table: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    connection.execute(f"insert into {table} ({MARTS[table]['columns'][0]['name']}) values (null)")
    outcomes = audit_one(connection, table)
    missing = {name: outcome for name, outcome in outcomes.items() if name.endswith("_missing")}
    assert missing
    assert set(missing.values()) == {"failed"}


@pytest.mark.parametrize("table", sorted(MARTS.keys() - {"dim_landed_date"}))  # which is nothing but dates
def test_every_range_and_list_fails_on_what_lies_outside(
    table: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    ranges = {
        column["name"]: check["invalid"]
        for column in MARTS[table]["columns"]
        for check in column.get("checks", ())
        if "invalid" in check
    }
    for column, allowed in ranges.items():
        outside = outside_of(allowed)
        connection.execute(f"update {table} set {column} = {outside}")
    assert ranges
    outcomes = audit_one(connection, table)
    assert {outcomes[f"{column}_invalid"] for column in ranges} == {"failed"}


@pytest.mark.parametrize("table", MARTS)
def test_a_key_that_is_repeated_fails(table: str, marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute(f"insert into {table} from {table} limit 1")
    repeated = {name: outcome for name, outcome in audit_one(connection, table).items() if "duplicate" in name}
    assert repeated
    assert set(repeated.values()) == {"failed"}


@pytest.mark.parametrize("table", MARTS)
def test_an_empty_mart_fails(table: str, marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute(f"delete from {table}")
    outcomes = audit_one(connection, table)
    assert outcomes.get("row_count", outcomes.get("rows_present")) == "failed"


def test_nobody_need_have_seen_an_experiment_yet(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    seen = [table for table in MARTS if "experiment" in table and table != "dim_experiment"]
    assert len(seen) == 4
    for table in seen:
        connection.execute(f"delete from {table}")
    report = audit(connection)
    assert report.passed, report.text()
    assert not report.warnings
    connection.execute("delete from dim_experiment")
    nothing_listed = replace(built_of(connection), landed=LANDED | {"experiments": 0})
    report = gate.audit_marts(load_settings(), connection, nothing_listed, subject="Build 1")
    assert report.passed, report.text()


def test_events_of_the_day_after_the_last_landed_one_may_be_there(
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    day_after = LAST + timedelta(1)
    connection.execute(f"update fct_user_activity_day set activity_date = '{day_after}' where user_id = 'u1'")
    assert audit_one(connection, "fct_user_activity_day")["dates_in_range"] == "passed"


@pytest.mark.parametrize(
    ("table", "check", "damage", "hiding", "not_hiding"),
    [
        # signed up on 7 January
        ("dim_user", "sign_up_has_account", "delete from dim_user where user_id = 'u2'", (6, 7, 8), (5, 9)),
        # whose subscription began on 9 January
        ("fct_subscription_change", "user_known", "delete from dim_user where user_id = 'u3'", (5, 9), (10,)),
        # a charge of 15 January, for a trial that began on 9 January, or for one that nobody knows
        ("fct_payment", "charged_when_active", "update fct_payment set subscription_id = 's2'", (9, 12, 15), (8, 19)),
        ("fct_payment", "charged_when_active", "update fct_payment set subscription_id = 'x'", (5, 12), (19,)),
        # a refund that was settled on 16 January, for a trial that began on 6 January, or for one that nobody knows
        ("fct_payment", "refund_has_charge", "update fct_payment set kind = 'refund'", (6, 12, 16), (5, 17)),
        (
            *("fct_payment", "refund_has_charge"),
            "update fct_payment set kind = 'refund', subscription_id = 'x'",
            *((5, 12, 16), (17,)),
        ),
    ],
)
def test_what_may_lie_on_a_gap_day_is_not_missed(
    table: str,
    check: str,
    damage: str,
    hiding: tuple[int, ...],
    not_hiding: tuple[int, ...],
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    connection.execute(damage)
    connection.execute("delete from fct_payment where payment_id not in ('p2')")
    for days, outcome in ((hiding, "passed"), (not_hiding, "failed")):
        for day in days:
            assert audit_one(connection, table, (date(2026, 1, day),))[check] == outcome, f"gap on {day} January"


def test_a_sign_up_of_the_last_day_may_be_dated_before_its_account(
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    connection.execute(
        f"delete from dim_user where user_id = 'u2'; update fct_user_activity_day set activity_date = '{LAST}'"
    )
    assert audit_one(connection, "dim_user")["sign_up_has_account"] == "passed"


def test_a_playback_may_seem_a_second_longer_than_it_was(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute("update fct_playback set watched_seconds = stop_position_seconds + 1")
    assert audit_one(connection, "fct_playback")["watched_before_stop"] == "passed"


def test_an_aggregate_may_have_a_fraction_of_a_person(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute("update fct_country_indicator_year set value = value + 0.4 where indicator_id = 'SP.POP.TOTL'")
    report = audit(connection)
    assert report.passed, report.text()


def test_a_region_that_is_called_unknown_has_no_market(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute("""
        update dim_country set region_name = 'unknown' where country_code = 'DE';
        update mart_market_penetration
        set segment_value = 'unknown', population = null, mobile_subscriptions = null
        where segment_value = 'Europe & Central Asia'
    """)
    check = "markets_agree"
    assert audit_one(connection, "mart_market_penetration", only=check)[check] == "passed"


def test_where_nobody_watched_before_nobody_stays_away(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection, check = marts(), "watching_usual"
    connection.execute("update mart_engagement_daily set active_users = 50, watch_hours_per_active_user = 0")
    assert audit_one(connection, "mart_engagement_daily", only=check)[check] == "passed"


@pytest.mark.parametrize("share", [0.961, 1.039])
def test_the_world_may_have_people_of_no_listed_country(
    share: float, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    connection.execute(f"update mart_year_stats set population = {share} * population where year = 2019")
    assert audit_one(connection, "mart_year_stats", only="world_agrees")["world_agrees"] == "passed"


@pytest.mark.parametrize(
    ("table", "check", "damage"),
    [
        ("fct_session", "app_start_arrived", "update fct_session set has_app_start = device_id <> 'du3'"),
        ("fct_playback", "start_arrived", "update fct_playback set has_start = device_id <> 'du3'"),
        ("dim_user", "sign_up_arrived", "update fct_user_activity_day set has_signed_up = user_id <> 'u3'"),
    ],
)
def test_a_few_lost_events_are_not_worth_a_warning(
    table: str, check: str, damage: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    connection.execute(damage)
    assert audit_one(connection, table)[check] == "passed"


def test_what_could_not_be_compared_yet_is_a_note(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    report = audit(marts(last=AFTER_FOUR_WEEKS), last=AFTER_FOUR_WEEKS)
    weekdays, crashes, hours = sorted(report.notes, key=lambda note: note.table)
    assert (weekdays.table, weekdays.name) == ("mart_active_users_rolling", "cold_start")
    assert list(weekdays.days) == days_between(LAUNCH, LAUNCH + timedelta(27))
    assert "2026-01-05: 5 of 5 segments not compared: fewer than four weeks before it" in weekdays.message
    assert (crashes.table, crashes.name) == ("mart_app_stability_daily", "cold_start")
    assert list(crashes.days) == days_between(LAUNCH, LAUNCH + timedelta(6))
    assert "2026-01-06: compared with 1 of 7 landed days before it" in crashes.message
    assert (hours.table, hours.name) == ("mart_engagement_daily", "cold_start")
    assert hours.days == crashes.days


def test_an_event_whose_copies_lie_on_two_days_is_counted_by_the_gate_where_the_first_one_lies(tmp_path: Path) -> None:
    path = tmp_path / "events" / "2026-01-07.parquet"
    path.parent.mkdir()
    duckdb.execute(f"""
        copy (
            select event_id, event_at::timestamp as event_at, received_at::timestamp as received_at
            from (values
                ('over midnight', '2026-01-05 23:59:59', '2026-01-06 00:00:01'),
                ('over midnight', '2026-01-06 00:00:10', '2026-01-06 00:00:02'),
                ('back over it', '2026-01-06 00:00:10', '2026-01-06 00:00:11'),
                ('back over it', '2026-01-05 23:59:59', '2026-01-06 00:00:12'),
                ('at one moment', '2026-01-06 00:00:10', '2026-01-06 00:00:11'),
                ('at one moment', '2026-01-05 23:59:59', '2026-01-06 00:00:11'),
                ('two days apart', '2026-01-05 12:00:00', '2026-01-07 00:00:01'),
                ('two days apart', '2026-01-07 00:00:00', '2026-01-07 00:00:02'),
                ('within a day', '2026-01-06 12:00:00', '2026-01-06 12:00:01'),
                ('within a day', '2026-01-06 12:00:00', '2026-01-06 12:00:01')
            ) as copies(event_id, event_at, received_at)
        ) to '{path}' (format parquet)
    """)
    of_all = Partition("events", "events", date(2026, 1, 7), 0, "", None, None)
    days = [date(2026, 1, 5), date(2026, 1, 6)]
    built = gate.Built(LAUNCH, days[-1], (), days, days, LANDED, tmp_path, {path: of_all})
    assert sorted(events_by_day(load_settings(), built)) == [(days[0], 4, 3), (days[1], 5, 2)]


def test_a_landing_that_is_not_what_was_accepted_fails(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    built = built_of(connection)
    (changed, accepted), (other, _), *_ = built.inputs.items()
    inputs = {path: one for path, one in built.inputs.items() if path != other}
    inputs[changed] = replace(accepted, file_sha256="")
    report = gate.audit_marts(load_settings(), connection, replace(built, inputs=inputs), subject="Build 1")
    (failure,) = (failure for failure in report.failures if failure.table == "inputs")
    assert failure.name == "as_accepted"
    said = failure.message.split("; ")
    assert said[0].endswith(f"events/{changed.stem}: not the file that was accepted")
    assert said[1].endswith(f"events/{other.stem}: the plan does not name it")


def test_a_landing_that_is_gone_is_an_error_and_no_pass(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    built = built_of(connection)
    gone = folder_of(connection) / "events" / "gone.parquet"
    inputs = {**built.inputs, gone: next(iter(built.inputs.values()))}
    with pytest.raises(gate.GateError, match="could not read what it is to judge"):
        gate.audit_marts(load_settings(), connection, replace(built, inputs=inputs), subject="Build 1")


@pytest.mark.parametrize(
    ("table", "check", "told_with"),
    [
        ("mart_app_stability_daily", "crashes_usual", {"01-12", "01-13"}),  # each with its own
        ("fct_session", "app_start_arrived", {"01-08"}),
        ("fct_session", "renewed_in_time", {"01-06", "01-07", "01-08", "01-09"}),  # each with its own
        ("fct_playback", "start_arrived", {"01-08"}),
        ("fct_user_activity_day", "started_once", {"01-07"}),
        ("fct_payment", "charged_as_listed", {"01-15"}),
        ("fct_payment", "charged_once", {"01-15"}),
        # Of 7 January: with the third day after it, when it is no longer provisional, and if one of them lands anew.
        ("dim_user", "sign_up_arrived", {"01-07", "01-08", "01-09", "01-10"}),
        ("fct_subscription_change", "cancelled_for_good", {"01-13"}),
        ("mart_active_users_rolling", "weekday_usual", {"02-10"}),
        ("mart_experiment_result", "split_as_planned", {f"01-{day:02}" for day in range(5, 21)}),  # of each day of it
    ],
)
def test_what_is_a_fact_of_a_day_is_told_with_its_landing_and_not_again(
    table: str, check: str, told_with: set[str], marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    last = AFTER_FOUR_WEEKS if {table, check} & COMPARED_WITH_FOUR_WEEKS else LAST
    connection = marts(last=last)
    connection.execute(DAMAGES[table][check][0].replace("this", table))
    by = "restated_dates" if check == "renewed_in_time" else "newly_landed_dates"
    outcomes = {
        f"{landed:%m-%d}": audit_one(connection, table, only=check, judged={by: [landed]})[check]
        for landed in days_between(LAUNCH, last)
    }
    assert {day for day, outcome in outcomes.items() if outcome == "warned"} == told_with
    assert audit_one(connection, table, only=check, judged={by: []})[check] == "passed"


# Of 7 January, which the third landed day after it settles: the 10th, or with a gap the 11th.
@pytest.mark.parametrize(
    ("gap_dates", "landed", "outcome"),
    [((GAP,), 11, "warned"), ((GAP,), 12, "passed"), ((), 11, "passed"), ((), GAP.day, "warned")],
)
def test_a_day_is_judged_when_a_gap_after_it_is_filled(
    gap_dates: tuple[date, ...], landed: int, outcome: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection, check = marts(gap_dates), "sign_up_arrived"
    connection.execute(DAMAGES["dim_user"][check][0].replace("this", "dim_user"))
    judged = {"newly_landed_dates": [date(2026, 1, landed)]}
    assert audit_one(connection, "dim_user", gap_dates, only=check, judged=judged)[check] == outcome


def test_a_mart_without_a_contract_and_a_contract_without_a_mart_fail(
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    connection.execute("alter table dim_date rename to dim_day")
    assert complaints(connection) == {
        "dim_date": "dim_date is not in the database, but has a contract",
        "dim_day": "dim_day has no contract: write quality/contracts/marts/dim_day.yml",
    }


@pytest.mark.parametrize(
    ("creation", "name"),
    [
        ("create schema main_growth; create table main_growth.mart_spend as select 1 as spend", "schema main_growth"),
        ("create schema empty_one", "schema empty_one"),
        ("create view newest_session as from fct_session", "view main.newest_session"),
        ("create schema meta; create view meta.ingest as select 1 as read", "view meta.ingest"),
        ("create macro lake() as table from range(3)", "macro main.lake"),
    ],
)
def test_what_readers_would_see_without_a_contract_fails(
    creation: str, name: str, marts: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    connection = marts()
    connection.execute(creation)
    assert complaints(connection) == {
        name: f"{name} is judged by no contract: make it a table of schema main with a contract, or drop it"
    }


def test_a_mart_that_is_a_view_has_not_passed_by_the_contract_of_its_name(
    marts: Callable[..., duckdb.DuckDBPyConnection],
) -> None:
    connection = marts()
    connection.execute("create schema meta; create table meta.days as from dim_date; drop table dim_date")
    connection.execute("create view dim_date as from meta.days")
    assert complaints(connection).keys() == {"dim_date", "view main.dim_date"}


def test_the_record_of_attempts_needs_no_contract(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = marts()
    connection.execute("create schema meta; create table meta.ingest as select 1 as read")
    report = audit(connection)
    assert report.passed, report.text()


def complaints(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What is said of all that is under no contract, or missing, by name."""
    return {result.table: result.message for result in audit(connection).failures if result.name == "under_contract"}


def test_a_gap_does_not_count_as_a_day_that_landed(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    gap_dates = (LAST - timedelta(2), LAST - timedelta(1))
    connection = marts(gap_dates)
    assert audit(connection, gap_dates).passed
    rows = connection.execute("select activity_date from mart_active_users_daily where is_provisional order by all")
    assert [day for (day,) in rows.fetchall()] == [LAST - timedelta(days) for days in (4, 3, 2, 1, 0)]
    connection.execute(f"update mart_active_users_daily set is_provisional = activity_date > date '{LAST}' - 3")
    (result,) = audit(connection, gap_dates).failures
    assert (result.name, result.value) == ("status_right", 2.0)


def test_a_gap_that_nobody_allowed_fails(marts: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    report = audit(marts((date(2026, 1, 9),)), gap_dates=())
    assert {"status_right", "known_when_it_can_be"} <= {result.name for result in report.failures}


def test_the_setting_decides_who_counts_as_active(
    marts: Callable[..., duckdb.DuckDBPyConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTOFF_ACTIVE_DEFINITION", "opened")
    assert {result.name for result in audit(marts()).failures} == {"flags_agree"}


@pytest.mark.parametrize("table", MARTS)
def test_who_owns_a_mart_looks_at_its_checks(table: str) -> None:
    (path,) = (PROJECT_DIR / "dbt_project" / "models" / "marts").rglob(f"{table}.yml")
    (model,) = yaml.safe_load(path.read_text())["models"]
    owner = model["config"]["meta"]["owner"]
    assert MARTS[table]["owner"] == owner, f"quality/contracts/marts/{table}.yml: the owner is {owner}, by {path.name}"


def test_contracts_know_the_platforms_that_events_know() -> None:
    (platform,) = (field for field in load_event_contracts().envelope if field.name == "platform")
    for table, contract in MARTS.items():
        for column in contract["columns"]:
            if column["name"] == "platform":
                assert allowed(column) == list(platform.enum), f"{table}: list those of contracts/envelope.yml"


@pytest.mark.parametrize(
    ("table", "column", "promised_by", "promised"),
    [
        ("dim_title", "title_kind", "titles", "kind"),
        ("dim_user", "acquisition_platform", "account_changes", "acquisition_platform"),
        ("fct_payment", "kind", "payments", "kind"),
        ("fct_payment", "status", "payments", "status"),
        ("fct_subscription_change", "status", "subscription_changes", "status"),
        ("fct_subscription_change", "previous_status", "subscription_changes", "status"),
    ],
)
def test_contracts_know_the_words_that_upstream_promises(
    table: str, column: str, promised_by: str, promised: str
) -> None:
    (judged,) = (one for one in MARTS[table]["columns"] if one["name"] == column)
    (promise,) = (one for one in load_table_contracts()[promised_by].columns if one.name == promised)
    assert allowed(judged) == list(promise.enum), f"list in {table}.yml what contracts/tables/{promised_by}.yml lists"


def outside_of(allowed: Mapping[str, Any]) -> str | float:
    """A value that a rule of ranges or lists does not allow, as SQL has it."""
    if "valid_values" not in allowed:
        return allowed.get("valid_max", allowed.get("valid_min", 0) - 2) + 1  # type: ignore[no-any-return]
    return "'nonsense'" if isinstance(allowed["valid_values"][0], str) else max(allowed["valid_values"]) + 1


def allowed(column: Mapping[str, Any]) -> list[str]:
    """The values that a mart's contract lists for a column."""
    (invalid,) = (check["invalid"] for check in column["checks"] if "invalid" in check)
    return invalid["valid_values"]  # type: ignore[no-any-return]
