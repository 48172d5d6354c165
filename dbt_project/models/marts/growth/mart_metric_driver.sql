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
        sum(weeks.attempted_users) as attempted_users,
        sum(weeks.successful_users) as successful_users,
        sum(weeks.previous_attempted_users) as previous_attempted_users,
        sum(weeks.previous_successful_users) as previous_successful_users
    from weeks
    inner join {{ ref('dim_date') }} as calendar on weeks.activity_date = calendar.date_day
    group by calendar.date_day, calendar.launch_day_number, weeks.segment_type, weeks.segment_value

),

everybody as (

    select
        activity_date,
        previous_successful_users / nullif(previous_attempted_users, 0) as previous_success_rate
    from compared
    where segment_type = 'total'

),

-- What was not there a week before, such as a new release, is held against everybody of that day: else all that it
-- does well or badly would count as volume.
rated as (

    select
        compared.*,
        compared.successful_users / nullif(compared.attempted_users, 0) as success_rate,
        coalesce(
            compared.previous_successful_users / nullif(compared.previous_attempted_users, 0),
            everybody.previous_success_rate,
            compared.successful_users / nullif(compared.attempted_users, 0)
        ) as previous_success_rate
    from compared
    inner join everybody on compared.activity_date = everybody.activity_date

),

effects as (

    select
        *,
        case
            when is_comparable
                then (attempted_users - previous_attempted_users) * coalesce(previous_success_rate, 0)
        end as volume_effect,
        case
            when is_comparable
                then attempted_users * coalesce(success_rate - previous_success_rate, 0)
        end as rate_effect
    from rated

)

select
    -- keys
    activity_date,
    segment_type,
    segment_value,

    -- that day
    case when is_known then cast(attempted_users as bigint) end as attempted_users,
    case when is_known then cast(successful_users as bigint) end as successful_users,
    case when is_known then success_rate end as success_rate,

    -- a week before
    case when is_comparable then cast(previous_attempted_users as bigint) end as previous_attempted_users,
    case when is_comparable then cast(previous_successful_users as bigint) end as previous_successful_users,
    case when is_comparable then previous_success_rate end as previous_success_rate,

    -- the change, and what it is made of
    case
        when is_comparable then cast(successful_users - previous_successful_users as bigint)
    end as change_users,
    volume_effect,
    rate_effect,
    case
        when is_comparable
            then row_number() over (partition by activity_date, segment_type order by rate_effect, segment_value)
    end as rate_effect_rank
from effects
