-- Grain: one row per day or week, and segment (period_grain, period_start_date, segment_type, segment_value).
{%- set segments = ['total', 'acquisition_platform', 'country', 'region', 'income_group'] %}
with

-- A segment is fixed at sign-up, so that who moves is not lost here and won there.
accounts as (

    select
        user_id,
        acquisition_platform,
        country_code
    from {{ ref('dim_user') }}
    where version_number = 1

),

days as (

    select
        'day' as period_grain,
        date_day as period_start_date,
        date_day,
        is_gap
    from {{ days_since_launch() }} as calendar

    union all

    select
        'week' as period_grain,
        week_start_date as period_start_date,
        date_day,
        is_gap
    from {{ days_since_launch() }} as calendar

),

-- A period is known when it is over and all of it has landed. The first one may begin before the launch.
periods as (

    select
        period_grain,
        period_start_date,
        row_number() over (partition by period_grain order by period_start_date) as period_number,
        not bool_or(is_gap) and (
            period_grain = 'day' or {{ add_days('period_start_date', 6) }} <= {{ last_date() }}
        ) as is_known
    from days
    group by period_grain, period_start_date

),

active_periods as (

    select distinct
        activity.user_id,
        days.period_grain,
        periods.period_number
    from {{ ref('fct_user_activity_day') }} as activity
    inner join days on activity.activity_date = days.date_day
    inner join periods
        on
            days.period_grain = periods.period_grain
            and days.period_start_date = periods.period_start_date
    where activity.is_active

),

neighbours as (

    select
        *,
        lag(period_number) over (partition by user_id, period_grain order by period_number) as last_number,
        lead(period_number) over (partition by user_id, period_grain order by period_number) as next_number
    from active_periods

),

states as (

    select
        user_id,
        period_grain,
        period_number,
        case
            when last_number is null then 'new'
            when last_number = period_number - 1 then 'retained'
            else 'resurrected'
        end as state
    from neighbours

    union all

    select
        user_id,
        period_grain,
        period_number + 1 as period_number,
        'churned' as state
    from neighbours
    where next_number is null or next_number > period_number + 1

),

counted as (

    select
        states.period_grain,
        states.period_number,
        accounts.acquisition_platform,
        accounts.country_code,
        count(case when states.state = 'new' then 1 end) as new_users,
        count(case when states.state = 'retained' then 1 end) as retained_users,
        count(case when states.state = 'resurrected' then 1 end) as resurrected_users,
        count(case when states.state = 'churned' then 1 end) as churned_users
    from states
    left join accounts on states.user_id = accounts.user_id
    group by states.period_grain, states.period_number, accounts.acquisition_platform, accounts.country_code

),

segmented as (

    select
        period_grain,
        period_number,
        segment_type,
        segment_value,
        sum(new_users + retained_users + resurrected_users) as active_users,
        sum(new_users) as new_users,
        sum(retained_users) as retained_users,
        sum(resurrected_users) as resurrected_users,
        sum(churned_users) as churned_users
    from {{ by_segment('counted', segments) }} as by_segment
    group by period_grain, period_number, segment_type, segment_value

),

cells as (

    select
        periods.*,
        seen.segment_type,
        seen.segment_value,
        coalesce(segmented.active_users, 0) as active_users,
        coalesce(segmented.new_users, 0) as new_users,
        coalesce(segmented.retained_users, 0) as retained_users,
        coalesce(segmented.resurrected_users, 0) as resurrected_users,
        coalesce(segmented.churned_users, 0) as churned_users
    from periods
    cross join {{ segments_in('segmented') }} as seen
    left join segmented
        on
            periods.period_grain = segmented.period_grain
            and periods.period_number = segmented.period_number
            and seen.segment_type = segmented.segment_type
            and seen.segment_value = segmented.segment_value

),

-- Before the first period was nobody, and that is known.
compared as (

    select
        *,
        lag(active_users, 1, 0) over (
            partition by period_grain, segment_type, segment_value order by period_number
        ) as previous_active_users,
        is_known and lag(is_known, 1, true) over (
            partition by period_grain, segment_type, segment_value order by period_number
        ) as is_comparable
    from cells

)

select
    -- keys
    period_grain,
    period_start_date,
    segment_type,
    segment_value,

    -- how many
    case when is_known then cast(active_users as bigint) end as active_users,
    case when is_comparable then cast(previous_active_users as bigint) end as previous_active_users,
    case when is_comparable then cast(new_users as bigint) end as new_users,
    case when is_comparable then cast(retained_users as bigint) end as retained_users,
    case when is_comparable then cast(resurrected_users as bigint) end as resurrected_users,
    case when is_comparable then cast(churned_users as bigint) end as churned_users
from compared
