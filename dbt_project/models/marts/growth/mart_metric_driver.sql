-- Grain: one row per day and segment (activity_date, segment_type, segment_value).
-- Who succeeded = who attempted x the share of them that succeeded: (A1 - A0) r0 + A1 (r1 - r0) = A1 r1 - A0 r0.
{%- set segments = ['total', 'platform', 'country', 'app_version', 'release'] %}
with

counted as (

    select
        activity_date,
        platform,
        country_code,
        app_version,
        count(case when has_opened then 1 end) as attempted_users,
        count(case when has_used then 1 end) as successful_users
    from {{ ref('fct_user_activity_day') }}
    where has_opened
    group by activity_date, platform, country_code, app_version

),

segmented as (

    select
        activity_date,
        segment_type,
        segment_value,
        sum(attempted_users) as attempted_users,
        sum(successful_users) as successful_users
    from {{ by_segment('counted', segments) }} as by_segment
    group by activity_date, segment_type, segment_value

),

-- Each day beside the one a week before, also where a segment was there on only one of them.
weeks as (

    select
        activity_date,
        segment_type,
        segment_value,
        attempted_users,
        successful_users,
        0 as previous_attempted_users,
        0 as previous_successful_users
    from segmented

    union all

    select
        {{ add_days('activity_date', 7) }} as activity_date,
        segment_type,
        segment_value,
        0 as attempted_users,
        0 as successful_users,
        attempted_users as previous_attempted_users,
        successful_users as previous_successful_users
    from segmented

    union all

    select
        date_day as activity_date,
        'total' as segment_type,
        'all' as segment_value,
        0 as attempted_users,
        0 as successful_users,
        0 as previous_attempted_users,
        0 as previous_successful_users
    from {{ ref('dim_date') }}

),

compared as (

    select
        calendar.date_day as activity_date,
        weeks.segment_type,
        weeks.segment_value,
        not {{ is_among('calendar.date_day', 'gap_dates') }} as is_known,
        calendar.launch_day_number >= 7
        and not {{ is_among('calendar.date_day', 'gap_dates') }}
        and not {{ is_among(add_days('calendar.date_day', -7), 'gap_dates') }} as is_comparable,
        cast(sum(weeks.attempted_users) as bigint) as attempted_users,
        cast(sum(weeks.successful_users) as bigint) as successful_users,
        cast(sum(weeks.previous_attempted_users) as bigint) as previous_attempted_users,
        cast(sum(weeks.previous_successful_users) as bigint) as previous_successful_users
    from weeks
    inner join {{ ref('dim_date') }} as calendar on weeks.activity_date = calendar.date_day
    group by calendar.date_day, calendar.launch_day_number, weeks.segment_type, weeks.segment_value

),

-- What was not there a week before, such as a new release, is held against everybody of that day: else all that it
-- does well or badly would count as volume. Where nobody was there at all, it does.
based as (

    select
        compared.*,
        case
            when compared.previous_attempted_users > 0 then compared.previous_attempted_users
            when everybody.previous_attempted_users > 0 then everybody.previous_attempted_users
            else compared.attempted_users
        end as base_attempted_users,
        case
            when compared.previous_attempted_users > 0 then compared.previous_successful_users
            when everybody.previous_attempted_users > 0 then everybody.previous_successful_users
            else compared.successful_users
        end as base_successful_users
    from compared
    inner join compared as everybody
        on
            compared.activity_date = everybody.activity_date
            and everybody.segment_type = 'total'

),

-- Whole numbers up to the one division, so that equal effects are equal and their ranks do not hang on rounding.
effects as (

    select
        *,
        successful_users / nullif(attempted_users, 0) as success_rate,
        base_successful_users / nullif(base_attempted_users, 0) as base_success_rate,
        (attempted_users - previous_attempted_users) * base_successful_users
        / nullif(base_attempted_users, 0) as volume,
        (successful_users * base_attempted_users - attempted_users * base_successful_users)
        / nullif(base_attempted_users, 0) as rate
    from based

)

select
    -- keys
    activity_date,
    segment_type,
    segment_value,

    -- that day
    case when is_known then attempted_users end as attempted_users,
    case when is_known then successful_users end as successful_users,
    case when is_known then success_rate end as success_rate,

    -- a week before
    case when is_comparable then previous_attempted_users end as previous_attempted_users,
    case when is_comparable then previous_successful_users end as previous_successful_users,
    case when is_comparable then base_success_rate end as previous_success_rate,

    -- the change, and what it is made of
    case
        when is_comparable then cast(successful_users - previous_successful_users as bigint)
    end as change_users,
    case when is_comparable then coalesce(volume, 0) end as volume_effect,
    case when is_comparable then coalesce(rate, 0) end as rate_effect,
    case
        when is_comparable
            then row_number() over (partition by activity_date, segment_type order by coalesce(rate, 0), segment_value)
    end as rate_effect_rank
from effects
