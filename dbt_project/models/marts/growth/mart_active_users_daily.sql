-- Grain: one row per day from launch to the last landed day (activity_date).
with

landings as (

    select
        *,
        count(case when not is_gap then 1 end) over (
            order by date_day
            rows between 1 following and unbounded following
        ) as later_landed_days
    from {{ days_since_launch() }} as days

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
    landings.date_day as activity_date,
    case when not landings.is_gap then coalesce(user_counts.active_users, 0) end as active_users,
    case when not landings.is_gap then coalesce(user_counts.used_users, 0) end as used_users,
    case when not landings.is_gap then coalesce(user_counts.opened_users, 0) end as opened_users,
    case when not landings.is_gap then coalesce(device_counts.anonymous_devices, 0) end as anonymous_devices,
    landings.later_landed_days < {{ var('late_arrival_days') }} as is_provisional,
    landings.is_gap
from landings
left join user_counts on landings.date_day = user_counts.activity_date
left join device_counts on landings.date_day = device_counts.session_date
