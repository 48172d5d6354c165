-- Grain: one row per day and segment (activity_date, segment_type, segment_value).
{%- set segments = ['total', 'platform', 'country', 'region', 'income_group', 'app_version'] %}
with

-- Decimals, because the sum of doubles depends on their order.
counted as (

    select
        activity_date,
        platform,
        country_code,
        app_version,
        count(case when watched_seconds > 0 then 1 end) as watching_users,
        sum(playback_start_count) as playback_count,
        sum(cast(watched_seconds as decimal(18, 6))) as watched_seconds
    from {{ ref('fct_user_activity_day') }}
    group by activity_date, platform, country_code, app_version

),

segmented as (

    select
        activity_date,
        segment_type,
        segment_value,
        sum(watching_users) as watching_users,
        sum(playback_count) as playback_count,
        cast(sum(watched_seconds) as double) / 3600 as watch_hours
    from {{ by_segment('counted', segments) }} as by_segment
    group by activity_date, segment_type, segment_value

),

active as (

    select
        activity_date,
        segment_type,
        segment_value,
        max(case when window_days = 1 then active_users end) as active_users,
        max(case when window_days = 28 then active_users end) as active_users_28d
    from {{ ref('mart_active_users_rolling') }}
    group by activity_date, segment_type, segment_value

),

-- All segments of user-days: some watch, after midnight or before an app that never gets ready, and are not active.
cells as (

    select
        days.date_day as activity_date,
        days.is_gap,
        days.landed_days >= 28 as is_full_window,
        seen.segment_type,
        seen.segment_value
    from {{ days_since_launch() }} as days
    cross join {{ segments_in('segmented') }} as seen

),

counted_or_none as (

    select
        cells.*,
        case when not cells.is_gap then coalesce(active.active_users, 0) end as active_users,
        case when not cells.is_gap then coalesce(active.active_users_28d, 0) end as active_users_28d,
        case when not cells.is_gap then coalesce(segmented.watching_users, 0) end as watching_users,
        case when not cells.is_gap then coalesce(segmented.playback_count, 0) end as playback_count,
        case when not cells.is_gap then coalesce(segmented.watch_hours, 0) end as watch_hours
    from cells
    left join active
        on
            cells.activity_date = active.activity_date
            and cells.segment_type = active.segment_type
            and cells.segment_value = active.segment_value
    left join segmented
        on
            cells.activity_date = segmented.activity_date
            and cells.segment_type = segmented.segment_type
            and cells.segment_value = segmented.segment_value

)

select
    -- keys
    activity_date,
    segment_type,
    segment_value,

    -- coming
    active_users,
    active_users_28d,
    active_users / nullif(active_users_28d, 0) as stickiness,
    is_full_window,

    -- watching
    cast(watching_users as bigint) as watching_users,
    cast(playback_count as bigint) as playback_count,
    watch_hours,
    watch_hours / nullif(active_users, 0) as watch_hours_per_active_user
from counted_or_none
