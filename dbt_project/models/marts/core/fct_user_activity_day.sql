-- Grain: one row per user and day with an event of that user (user_id, activity_date).
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('activity_date') }}",
) }}

with

events as (

    select
        attributed_user_id as user_id,
        event_date as activity_date,
        event_id,
        event_at,
        event_name,
        platform,
        country_code,
        app_version,
        watched_seconds,
        -- The day's segment is that of its last qualifying event: of use, else of opening, else of any kind.
        case
            when event_name in ('app_ready', 'playback_start') then 1
            when event_name = 'app_start' then 2
            else 3
        end as qualification
    from {{ ref('int_event__identified') }}
    where
        attributed_user_id is not null
        and {{ is_among('event_date', 'restated_dates') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by user_id, activity_date
            order by qualification asc, event_at desc, event_id desc
        ) as segment_rank
    from events

),

user_days as (

    select
        user_id,
        activity_date,
        max(platform) filter (where segment_rank = 1) as platform,
        max(country_code) filter (where segment_rank = 1) as country_code,
        max(app_version) filter (where segment_rank = 1) as app_version,
        bool_or(qualification <= 2) as has_opened,
        bool_or(qualification = 1) as has_used,
        bool_or(event_name = 'sign_up') as has_signed_up,
        count(*) filter (where event_name = 'app_crash') as crash_count,
        count(*) filter (where event_name = 'playback_start') as playback_start_count,
        -- decimals, because the sum of doubles depends on their order
        cast(
            coalesce(
                sum(cast(watched_seconds as decimal(18, 6))) filter (where event_name = 'playback_heartbeat'), 0
            ) as double
        ) as watched_seconds,
        count(*) as event_count
    from ranked
    group by user_id, activity_date

)

select
    -- keys
    user_id,
    activity_date,

    -- where and with what
    platform,
    country_code,
    app_version,

    -- what happened
    has_opened,
    has_used,
    has_{{ var('active_definition') }} as is_active,
    has_signed_up,
    crash_count,
    playback_start_count,
    watched_seconds,
    event_count
from user_days
