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
        max(case when window_days = 28 then active_users end) as active_users_28d,
        bool_or(window_days = 28 and is_full_window) as is_full_window,
        bool_or(active_users is not null) as is_known
    from {{ ref('mart_active_users_rolling') }}
    group by activity_date, segment_type, segment_value

)

select
    -- keys
    active.activity_date,
    active.segment_type,
    active.segment_value,

    -- coming
    active.active_users,
    active.active_users_28d,
    active.active_users / nullif(active.active_users_28d, 0) as stickiness,
    active.is_full_window,

    -- watching
    case when active.is_known then cast(coalesce(segmented.watching_users, 0) as bigint) end as watching_users,
    case when active.is_known then cast(coalesce(segmented.playback_count, 0) as bigint) end as playback_count,
    case when active.is_known then coalesce(segmented.watch_hours, 0) end as watch_hours,
    case
        when active.is_known then coalesce(segmented.watch_hours, 0)
    end / nullif(active.active_users, 0) as watch_hours_per_active_user
from active
left join segmented
    on
        active.activity_date = segmented.activity_date
        and active.segment_type = segmented.segment_type
        and active.segment_value = segmented.segment_value
