-- Grain: one row per cohort and period of its age (cohort_grain, cohort_date, period_number).
-- Day 0 is the day on which the account was created: who never got the app to start stays in the denominator.
with

users as (

    select
        user_id,
        created_date as day_0,
        cast(date_trunc('week', created_date) as date) as week_0
    from {{ ref('dim_user') }}
    where is_current and created_date <= {{ last_date() }}

),

-- One integer a user, with a bit for each of 63 days (9 weeks from day 0) on which they were active: of 23 million
-- user-days that takes a sixth of the CPU seconds of counting distinct users for each period. Never a sum: the bit of a
-- day that came twice would carry into the next day.
histories as (

    select
        users.user_id,
        users.day_0,
        users.week_0,
        bit_or({{ one_bit(days_between('users.day_0', 'activity.activity_date')) }}) as active_days
    from {{ ref('fct_user_activity_day') }} as activity
    inner join users on activity.user_id = users.user_id
    where
        activity.is_active
        and activity.activity_date <= {{ last_date() }}
        and {{ days_between('users.day_0', 'activity.activity_date') }} between 0 and 62
    group by users.user_id, users.day_0, users.week_0

),

cohort_sizes as (

    select
        'day' as cohort_grain,
        day_0 as cohort_date,
        count(*) as cohort_users
    from users
    group by day_0

    union all

    select
        'week' as cohort_grain,
        week_0 as cohort_date,
        count(*) as cohort_users
    from users
    group by week_0

),

retained as (

    select
        'day' as cohort_grain,
        histories.day_0 as cohort_date,
        periods.n as period_number,
        count(*) as retained_users
    from histories
    cross join {{ integers(0, 28) }} as periods
    where {{ bits_from('histories.active_days', 'periods.n', 1) }} <> 0
    group by histories.day_0, periods.n

    union all

    select
        'week' as cohort_grain,
        histories.week_0 as cohort_date,
        periods.n as period_number,
        count(*) as retained_users
    from histories
    cross join {{ integers(0, 8) }} as periods
    where {{ bits_from('histories.active_days', '7 * periods.n', 7) }} <> 0
    group by histories.week_0, periods.n

),

-- Each cell with the days that it looks at: those on which its users came, and those on which they may return.
cells as (

    select
        'day' as cohort_grain,
        calendar.date_day as cohort_date,
        periods.n as period_number,
        calendar.date_day as last_day_0,
        {{ add_days('calendar.date_day', 'periods.n') }} as first_observed_date,
        {{ add_days('calendar.date_day', 'periods.n') }} as last_observed_date
    from {{ ref('dim_date') }} as calendar
    cross join {{ integers(0, 28) }} as periods

    union all

    select distinct
        'week' as cohort_grain,
        calendar.week_start_date as cohort_date,
        periods.n as period_number,
        {{ add_days('calendar.week_start_date', 6) }} as last_day_0,
        {{ add_days('calendar.week_start_date', '7 * periods.n') }} as first_observed_date,
        {{ add_days('calendar.week_start_date', '7 * periods.n + 12') }} as last_observed_date
    from {{ ref('dim_date') }} as calendar
    cross join {{ integers(0, 8) }} as periods

),

gaps as (

    select date_day
    from {{ ref('dim_date') }}
    where {{ is_among('date_day', 'gap_dates') }}

),

judged as (

    select
        cells.cohort_grain,
        cells.cohort_date,
        cells.period_number,
        cells.last_observed_date <= {{ last_date() }} as is_mature,
        coalesce(bool_or(gaps.date_day between cells.cohort_date and cells.last_day_0), false) as lacks_accounts,
        coalesce(
            bool_or(gaps.date_day between cells.first_observed_date and cells.last_observed_date), false
        ) as lacks_activity
    from cells
    left join gaps on gaps.date_day between cells.cohort_date and cells.last_observed_date
    group by cells.cohort_grain, cells.cohort_date, cells.period_number, cells.last_observed_date

),

counted as (

    select
        judged.cohort_grain,
        judged.cohort_date,
        judged.period_number,
        case when not judged.lacks_accounts then coalesce(cohort_sizes.cohort_users, 0) end as cohort_users,
        case
            when judged.is_mature and not judged.lacks_accounts and not judged.lacks_activity
                then coalesce(retained.retained_users, 0)
        end as retained_users
    from judged
    left join cohort_sizes
        on
            judged.cohort_grain = cohort_sizes.cohort_grain
            and judged.cohort_date = cohort_sizes.cohort_date
    left join retained
        on
            judged.cohort_grain = retained.cohort_grain
            and judged.cohort_date = retained.cohort_date
            and judged.period_number = retained.period_number

)

select
    *,
    retained_users / nullif(cohort_users, 0) as retention_rate
from counted
