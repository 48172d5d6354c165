-- Grain: one row per hour and country with an event (activity_date, hour_of_day, country_code).
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('activity_date') }}",
) }}

with

events as (

    select
        *,
        cast(extract(hour from event_at) as bigint) as hour_of_day
    from {{ ref('int_event__identified') }}
    where {{ is_among('event_date', 'restated_dates') }}

)

select
    -- keys
    event_date as activity_date,
    hour_of_day,
    country_code,

    -- how much
    count(*) as event_count,
    count(distinct device_id) as active_devices,
    count(distinct case when event_name in ('app_ready', 'playback_start') then attributed_user_id end) as active_users
from events
group by event_date, hour_of_day, country_code
