-- Grain: one row per viewing of a title (device_id, session_id, playback_id), known by playback_key.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('playback_date') }}",
) }}

with

playbacks as (

    select
        *,
        {{ key_of('device_id', 'session_id') }} as session_key
    from {{ ref('int_playback__summarised') }}

)

select
    -- keys
    md5(session_key || playback_id) as playback_key,
    session_key,
    device_id,
    session_id,
    playback_id,
    user_id,
    title_id,

    -- when
    playback_date,
    started_at,
    ended_at,

    -- how long
    watched_seconds,
    stop_position_seconds,
    startup_seconds,

    -- what happened
    heartbeat_count,
    has_start,
    has_stop,

    -- where and with what
    platform,
    country_code,
    app_version
from playbacks
where {{ is_among('playback_date', 'restated_dates') }}
