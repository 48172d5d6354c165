-- Grain: one row per crash of the app and day (event_id, crash_date).
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('crash_date') }}",
) }}

with

events as (

    select * from {{ ref('int_event__identified') }}

)

select
    -- keys
    event_id,
    {{ key_of('device_id', 'session_id') }} as session_key,
    device_id,
    session_id,
    attributed_user_id as user_id,

    -- when
    event_date as crash_date,
    event_at as crashed_at,

    -- what happened
    phase,
    error_code,

    -- where and with what
    platform,
    device_model,
    os_version,
    app_version,
    country_code
from events
where
    event_name = 'app_crash'
    and {{ is_among('event_date', 'restated_dates') }}
