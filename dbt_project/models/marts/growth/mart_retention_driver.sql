-- Grain: one row per driver, its value, and day (driver, driver_value, day_number).
{%- set drivers = ['acquisition_platform', 'region', 'income_group', 'first_day'] %}
with

first_days as (

    select
        accounts.user_id,
        accounts.created_date as day_0,
        accounts.acquisition_platform,
        accounts.country_code,
        case
            when activity.playback_start_count > 0 then 'watched'
            when activity.crash_count > 0 then 'crashed'
            else 'neither'
        end as first_day
    from {{ ref('dim_user') }} as accounts
    left join {{ ref('fct_user_activity_day') }} as activity
        on
            accounts.user_id = activity.user_id
            and accounts.created_date = activity.activity_date
    where accounts.version_number = 1

),

-- Whose return can be known: the day is over, and both days have landed.
ages as (

    select
        calendar.date_day as day_0,
        numbers.n as day_number
    from {{ ref('dim_date') }} as calendar
    cross join {{ integers(1, 28) }} as numbers
    where
        {{ add_days('calendar.date_day', 'numbers.n') }} <= {{ last_date() }}
        and not {{ is_among('calendar.date_day', 'gap_dates') }}
        and not {{ is_among(add_days('calendar.date_day', 'numbers.n'), 'gap_dates') }}

),

cohorts as (

    select
        day_0,
        acquisition_platform,
        country_code,
        first_day,
        count(*) as user_count
    from first_days
    group by day_0, acquisition_platform, country_code, first_day

),

returns as (

    select
        first_days.day_0,
        {{ days_between('first_days.day_0', 'activity.activity_date') }} as day_number,
        first_days.acquisition_platform,
        first_days.country_code,
        first_days.first_day,
        count(*) as user_count
    from first_days
    inner join {{ ref('fct_user_activity_day') }} as activity on first_days.user_id = activity.user_id
    where
        activity.is_active
        and activity.activity_date > first_days.day_0
    group by
        first_days.day_0,
        {{ days_between('first_days.day_0', 'activity.activity_date') }},
        first_days.acquisition_platform,
        first_days.country_code,
        first_days.first_day

),

counted as (

    select
        ages.day_number,
        cohorts.acquisition_platform,
        cohorts.country_code,
        cohorts.first_day,
        cohorts.user_count as users,
        0 as retained_users
    from cohorts
    inner join ages on cohorts.day_0 = ages.day_0

    union all

    select
        ages.day_number,
        returns.acquisition_platform,
        returns.country_code,
        returns.first_day,
        0 as users,
        returns.user_count as retained_users
    from returns
    inner join ages
        on
            returns.day_0 = ages.day_0
            and returns.day_number = ages.day_number

),

segmented as (

    select
        segment_type as driver,
        segment_value as driver_value,
        cast(day_number as bigint) as day_number,
        cast(sum(users) as bigint) as users,
        cast(sum(retained_users) as bigint) as retained_users
    from {{ by_segment('counted', drivers) }} as by_segment
    group by segment_type, segment_value, day_number

),

rated as (

    select
        *,
        retained_users / nullif(users, 0) as retention_rate,
        {{ wilson_low('retained_users', 'users') }} as retention_low,
        {{ wilson_high('retained_users', 'users') }} as retention_high,
        sum(retained_users) over (partition by driver, day_number)
        / nullif(sum(users) over (partition by driver, day_number), 0) as overall_retention_rate
    from segmented

)

select
    -- keys
    driver,
    driver_value,
    day_number,

    -- how many came back
    users,
    retained_users,
    retention_rate,
    retention_low,
    retention_high,

    -- against everybody
    overall_retention_rate,
    overall_retention_rate not between retention_low and retention_high as is_beyond_noise
from rated
