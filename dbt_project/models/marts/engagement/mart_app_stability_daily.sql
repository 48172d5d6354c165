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

),

days as (

    select
        date_day,
        {{ is_among('date_day', 'gap_dates') }} as is_gap
    from {{ ref('dim_date') }}

),

cells as (

    select
        days.date_day as session_date,
        days.is_gap,
        counted.segment_type,
        counted.segment_value
    from counted
    inner join days on counted.session_date = days.date_day
    where not days.is_gap and counted.segment_type <> 'total'

    union all

    select
        date_day as session_date,
        is_gap,
        'total' as segment_type,
        'all' as segment_value
    from days

)

select
    -- keys
    cells.session_date,
    cells.segment_type,
    cells.segment_value,

    -- crashes
    case when not cells.is_gap then coalesce(counted.started_sessions, 0) end as started_sessions,
    case when not cells.is_gap then coalesce(counted.crash_free_sessions, 0) end as crash_free_sessions,
    counted.crash_free_sessions / nullif(counted.started_sessions, 0) as crash_free_rate,
    case when not cells.is_gap then coalesce(counted.startup_crash_sessions, 0) end as startup_crash_sessions,
    counted.startup_crash_sessions / nullif(counted.started_sessions, 0) as startup_crash_rate,

    -- waiting
    case when not cells.is_gap then coalesce(counted.ready_sessions, 0) end as ready_sessions,
    counted.time_to_ready_p50_seconds,
    counted.time_to_ready_p95_seconds
from cells
left join counted
    on
        cells.session_date = counted.session_date
        and cells.segment_type = counted.segment_type
        and cells.segment_value = counted.segment_value
        and not cells.is_gap
