-- Grain: one row per session (device_id, session_id), known by session_key.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('session_date') }}",
) }}

with

sessions as (

    select * from {{ ref('int_session__summarised') }}

)

select
    -- keys
    {{ key_of('device_id', 'session_id') }} as session_key,
    device_id,
    session_id,
    user_id,
    user_count,

    -- when
    session_date,
    started_at,
    ended_at,
    {{ seconds_between('started_at', 'ended_at') }} as duration_seconds,
    case
        when app_ready_at >= app_started_at then {{ seconds_between('app_started_at', 'app_ready_at') }}
    end as time_to_ready_seconds,

    -- where and with what
    platform,
    device_model,
    os_version,
    app_version,
    country_code,

    -- what happened
    event_count,
    crash_count,
    has_app_start,
    has_app_ready,
    has_playback_start,
    has_startup_crash,
    case when has_app_start then crash_count = 0 end as is_crash_free
from sessions
where {{ is_among('session_date', 'restated_dates') }}
