-- Grain: one row per day from launch to the last landed day (activity_date).
with

days as (

    select
        date_day,
        {{ is_among('date_day', 'gap_dates') }} as is_gap
    from {{ ref('dim_date') }}

),

user_counts as (

    select
        activity_date,
        count(*) filter (where is_active) as active_users,
        count(*) filter (where has_used) as used_users,
        count(*) filter (where has_opened) as opened_users
    from {{ ref('fct_user_activity_day') }}
    group by activity_date

),

device_counts as (

    select
        session_date,
        count(distinct device_id) as anonymous_devices
    from {{ ref('fct_session') }}
    where
        user_count = 0
        and (has_app_ready or has_playback_start)
    group by session_date

)

select
    days.date_day as activity_date,
    case when not days.is_gap then coalesce(user_counts.active_users, 0) end as active_users,
    case when not days.is_gap then coalesce(user_counts.used_users, 0) end as used_users,
    case when not days.is_gap then coalesce(user_counts.opened_users, 0) end as opened_users,
    case when not days.is_gap then coalesce(device_counts.anonymous_devices, 0) end as anonymous_devices,
    {{ days_between('days.date_day', last_date()) }} < {{ var('late_arrival_days') }} as is_provisional,
    days.is_gap
from days
left join user_counts on days.date_day = user_counts.activity_date
left join device_counts on days.date_day = device_counts.session_date
