-- Grain: one row per viewing of a title (device_id, session_id, playback_id) with an event on a read date.
with

events as (

    select
        *,
        row_number() over (
            partition by device_id, session_id, playback_id
            order by session_event_number
        ) as playback_event_number
    from {{ ref('int_event__identified') }}
    where event_name in ('playback_start', 'playback_heartbeat', 'playback_stop') -- others may name a playback one day

),

summarised as (

    select
        -- keys
        device_id,
        session_id,
        playback_id,

        -- who and what, by its first event: whoever is named later is known there too
        max(attributed_user_id) filter (where playback_event_number = 1) as user_id,
        max(title_id) filter (where playback_event_number = 1) as title_id,

        -- when: a playback belongs to the day of its first event
        cast(min(event_at) as date) as playback_date,
        min(event_at) filter (where event_name = 'playback_start') as started_at,
        max(event_at) as ended_at,

        -- how long; decimals, because the sum of doubles depends on their order
        cast(
            coalesce(
                sum(cast(watched_seconds as decimal(18, 6))) filter (where event_name = 'playback_heartbeat'), 0
            ) as double
        ) as watched_seconds,
        max(position_seconds) filter (where event_name = 'playback_stop') as stop_position_seconds,
        max(startup_seconds) filter (where event_name = 'playback_start') as startup_seconds,

        -- what happened
        count(*) filter (where event_name = 'playback_heartbeat') as heartbeat_count,
        bool_or(event_name = 'playback_start') as has_start,
        bool_or(event_name = 'playback_stop') as has_stop,

        -- where and with what, by its first event
        max(platform) filter (where playback_event_number = 1) as platform,
        max(country_code) filter (where playback_event_number = 1) as country_code,
        max(app_version) filter (where playback_event_number = 1) as app_version
    from events
    group by device_id, session_id, playback_id

)

select * from summarised
