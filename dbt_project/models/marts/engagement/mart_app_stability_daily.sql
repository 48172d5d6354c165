-- Grain: one row per day and segment (session_date, segment_type, segment_value).
{%- set segments = ['total', 'platform', 'app_version', 'release'] %}
with

-- Percentiles cannot be added up, so that here the sessions themselves are repeated for each kind of segment.
started as (

    select
        session_date,
        platform,
        app_version,
        is_crash_free,
        has_startup_crash,
        time_to_ready_seconds
    from {{ ref('fct_session') }}
    where has_app_start

),

counted as (

    select
        session_date,
        segment_type,
        segment_value,
        count(*) as started_sessions,
        count(case when is_crash_free then 1 end) as crash_free_sessions,
        count(case when has_startup_crash then 1 end) as startup_crash_sessions,
        count(time_to_ready_seconds) as ready_sessions,
        percentile_cont(0.5) within group (order by time_to_ready_seconds) as time_to_ready_p50_seconds,
        percentile_cont(0.95) within group (order by time_to_ready_seconds) as time_to_ready_p95_seconds
    from {{ by_segment('started', segments) }} as by_segment
    group by session_date, segment_type, segment_value

)

select
    -- keys
    days.date_day as session_date,
    coalesce(counted.segment_type, 'total') as segment_type,
    coalesce(counted.segment_value, 'all') as segment_value,

    -- crashes
    case when not days.is_gap then coalesce(counted.started_sessions, 0) end as started_sessions,
    case when not days.is_gap then coalesce(counted.crash_free_sessions, 0) end as crash_free_sessions,
    counted.crash_free_sessions / nullif(counted.started_sessions, 0) as crash_free_rate,
    case when not days.is_gap then coalesce(counted.startup_crash_sessions, 0) end as startup_crash_sessions,
    counted.startup_crash_sessions / nullif(counted.started_sessions, 0) as startup_crash_rate,

    -- waiting
    case when not days.is_gap then coalesce(counted.ready_sessions, 0) end as ready_sessions,
    counted.time_to_ready_p50_seconds,
    counted.time_to_ready_p95_seconds
from {{ days_since_launch() }} as days
left join counted on days.date_day = counted.session_date and not days.is_gap
