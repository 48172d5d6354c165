-- Grain: one row per day from launch to the last landed day (date_day).
with

days as (

    select
        n as launch_day_number,
        {{ add_days(launch_date(), 'n') }} as date_day
    from {{ integers(0, days_between(launch_date(), last_date())) }} as spine

),

weeks as (

    select
        *,
        cast(date_trunc('week', date_day) as date) as week_start_date
    from days

),

numbered as (

    select
        *,
        {{ days_between('week_start_date', 'date_day') }} + 1 as day_of_week,
        {{ add_days('week_start_date', 3) }} as week_thursday_date
    from weeks

)

select
    -- keys
    date_day,
    launch_day_number,

    -- calendar
    cast(extract(year from date_day) as bigint) as year,
    cast(extract(quarter from date_day) as bigint) as quarter,
    cast(extract(month from date_day) as bigint) as month,
    cast(extract(day from date_day) as bigint) as day_of_month,
    cast(date_trunc('month', date_day) as date) as month_start_date,
    cast(date_trunc('quarter', date_day) as date) as quarter_start_date,

    -- ISO weeks: from Monday, and of the year that holds their Thursday
    cast(extract(year from week_thursday_date) as bigint) as iso_year,
    cast(extract(week from date_day) as bigint) as iso_week,
    week_start_date,
    day_of_week,
    case day_of_week
        when 1 then 'Monday'
        when 2 then 'Tuesday'
        when 3 then 'Wednesday'
        when 4 then 'Thursday'
        when 5 then 'Friday'
        when 6 then 'Saturday'
        when 7 then 'Sunday'
    end as weekday_name,
    day_of_week >= 6 as is_weekend
from numbered
