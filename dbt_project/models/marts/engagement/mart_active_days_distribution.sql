-- Grain: one row per day, window, and number of active days (activity_date, window_days, active_days).
with

steps as (

    select
        activity.user_id,
        windows.window_days,
        activity.activity_date as change_date,
        1 as step
    from {{ ref('fct_user_activity_day') }} as activity
    cross join {{ windows([7, 28]) }} as windows
    where activity.is_active and activity.activity_date <= {{ last_date() }}

    union all

    select
        activity.user_id,
        windows.window_days,
        {{ add_days('activity.activity_date', 'windows.window_days') }} as change_date,
        -1 as step
    from {{ ref('fct_user_activity_day') }} as activity
    cross join {{ windows([7, 28]) }} as windows
    where
        activity.is_active
        and {{ add_days('activity.activity_date', 'windows.window_days') }} <= {{ last_date() }}

),

turns as (

    select
        user_id,
        window_days,
        change_date,
        sum(step) as step
    from steps
    group by user_id, window_days, change_date

),

-- From each turn until the next one a user keeps the same number of active days.
levels as (

    select
        window_days,
        change_date,
        sum(step) over (
            partition by user_id, window_days
            order by change_date
            rows between unbounded preceding and current row
        ) as active_days,
        sum(step) over (
            partition by user_id, window_days
            order by change_date
            rows between unbounded preceding and current row
        ) - step as previous_active_days
    from turns

),

changes as (

    select
        window_days,
        change_date,
        active_days,
        count(*) as change
    from levels
    group by window_days, change_date, active_days

    union all

    select
        window_days,
        change_date,
        previous_active_days as active_days,
        -count(*) as change
    from levels
    group by window_days, change_date, previous_active_days

),

counted as (

    select
        window_days,
        change_date,
        active_days,
        sum(change) as change
    from changes
    group by window_days, change_date, active_days

),

cells as (

    select
        days.*,
        windows.window_days,
        numbers.n as active_days
    from {{ days_since_launch() }} as days
    cross join {{ windows([7, 28]) }} as windows
    inner join {{ integers(1, 28) }} as numbers on windows.window_days >= numbers.n

),

summed as (

    select
        cells.*,
        sum(coalesce(counted.change, 0)) over (
            partition by cells.window_days, cells.active_days
            order by cells.date_day
            rows between unbounded preceding and current row
        ) as user_count
    from cells
    left join counted
        on
            cells.date_day = counted.change_date
            and cells.window_days = counted.window_days
            and cells.active_days = counted.active_days

)

select
    -- keys
    date_day as activity_date,
    window_days,
    cast(active_days as bigint) as active_days,

    -- how many
    case when not is_gap then cast(user_count as bigint) end as user_count,
    landed_days >= window_days as is_full_window
from summed
