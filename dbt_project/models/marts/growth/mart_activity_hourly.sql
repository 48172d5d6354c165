-- Grain: one row per hour and country (activity_date, hour_of_day, country_code).
with

countries as (

    select distinct country_code
    from {{ ref('fct_activity_hour') }}

),

-- An hour in which nothing came is a row too: a country that is dark sends none.
cells as (

    select
        calendar.date_day as activity_date,
        calendar.day_of_week,
        calendar.is_gap,
        cast(hours.n as bigint) as hour_of_day,
        countries.country_code
    from {{ days_since_launch() }} as calendar
    cross join {{ integers(0, 23) }} as hours
    cross join countries

),

counted as (

    select
        cells.*,
        case when not cells.is_gap then coalesce(activity.event_count, 0) end as event_count,
        case when not cells.is_gap then coalesce(activity.active_devices, 0) end as active_devices,
        case when not cells.is_gap then coalesce(activity.active_users, 0) end as active_users
    from cells
    left join {{ ref('fct_activity_hour') }} as activity
        on
            cells.activity_date = activity.activity_date
            and cells.hour_of_day = activity.hour_of_day
            and cells.country_code = activity.country_code

),

-- Every day has its row, so that the four rows before are the same weekday of the four weeks before.
compared as (

    select
        *,
        count(active_devices) over (
            partition by country_code, hour_of_day, day_of_week
            order by activity_date
            rows between 4 preceding and 1 preceding
        ) as compared_days,
        sum(active_devices) over (
            partition by country_code, hour_of_day, day_of_week
            order by activity_date
            rows between 4 preceding and 1 preceding
        ) as compared_devices
    from counted

),

expected as (

    select
        *,
        case when compared_days = 4 then compared_devices / 4 end as expected_active_devices
    from compared

),

-- In standard deviations, if devices come independently of each other: that of the day, and that of a mean of four.
scored as (

    select
        *,
        (active_devices - expected_active_devices) / nullif(sqrt(expected_active_devices * 1.25), 0) as deviation_score
    from expected

)

select
    -- keys
    activity_date,
    hour_of_day,
    country_code,

    -- what came
    event_count,
    active_devices,
    active_users,

    -- against the same hour and weekday before
    compared_days,
    expected_active_devices,
    deviation_score,
    case
        when deviation_score is not null
            then row_number() over (
                partition by activity_date
                order by coalesce(deviation_score, 1e9), hour_of_day, country_code
            )
    end as shortfall_rank
from scored
