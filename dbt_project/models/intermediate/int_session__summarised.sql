-- Grain: one row per session (device_id, session_id) that has an event on a read date.
with

events as (

    select * from {{ ref('int_event__identified') }}

),

summarised as (

    select
        -- keys
        device_id,
        session_id,

        -- when: a session belongs to the day of its first event
        cast(min(event_at) as date) as session_date,
        min(event_at) as started_at,
        max(event_at) as ended_at,
        min(event_at) filter (where event_name = 'app_start') as app_started_at,
        min(event_at) filter (where event_name = 'app_ready') as app_ready_at,

        -- who: the last user named
        max_by(user_id, session_event_number) filter (where user_id is not null) as user_id,
        count(distinct attributed_user_id) as user_count,

        -- where and with what, by its first event
        max(platform) filter (where session_event_number = 1) as platform,
        max(device_model) filter (where session_event_number = 1) as device_model,
        max(os_version) filter (where session_event_number = 1) as os_version,
        max(app_version) filter (where session_event_number = 1) as app_version,
        max(country_code) filter (where session_event_number = 1) as country_code,

        -- what happened
        count(*) as event_count,
        count(*) filter (where event_name = 'app_crash') as crash_count,
        bool_or(event_name = 'app_start') as has_app_start,
        bool_or(event_name = 'app_ready') as has_app_ready,
        bool_or(event_name = 'playback_start') as has_playback_start,
        coalesce(bool_or(event_name = 'app_crash' and phase = 'startup'), false) as has_startup_crash
    from events
    group by device_id, session_id

)

select * from summarised
