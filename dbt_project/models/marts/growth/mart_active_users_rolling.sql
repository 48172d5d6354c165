-- Grain: one row per day, window and segment (activity_date, window_days, segment_type, segment_value).
-- An active day counts, with its segment, from that day until the window is over or the user comes again: so everybody
-- is in one segment at a time, and nothing is repeated for each day of a window.
{%- set segments = ['total', 'platform', 'country', 'region', 'income_group', 'app_version'] %}
with

active_days as (

    select
        activity_date,
        lead(activity_date) over (partition by user_id order by activity_date) as next_activity_date,
        platform,
        country_code,
        app_version
    from {{ ref('fct_user_activity_day') }}
    where is_active and activity_date <= {{ last_date() }}

),

-- Few rows, however many users: all that follows counts these.
spaced as (

    select
        activity_date,
        next_activity_date,
        platform,
        country_code,
        app_version,
        count(*) as user_count
    from active_days
    group by activity_date, next_activity_date, platform, country_code, app_version

),

windowed as (

    select
        spaced.*,
        windows.window_days,
        {{ add_days('spaced.activity_date', 'windows.window_days') }} as window_end_date
    from spaced
    cross join {{ windows([1, 7, 28, 365]) }} as windows

),

changes as (

    select
        window_days,
        activity_date as change_date,
        platform,
        country_code,
        app_version,
        user_count as change
    from windowed

    union all

    select
        window_days,
        least(window_end_date, coalesce(next_activity_date, window_end_date)) as change_date,
        platform,
        country_code,
        app_version,
        -user_count as change
    from windowed

),

counted as (

    select
        window_days,
        change_date,
        platform,
        country_code,
        app_version,
        sum(change) as change
    from changes
    group by window_days, change_date, platform, country_code, app_version

),

segmented as (

    select
        window_days,
        change_date,
        segment_type,
        segment_value,
        sum(change) as change
    from {{ by_segment('counted', segments) }} as by_segment
    group by window_days, change_date, segment_type, segment_value

),

cells as (

    select
        days.*,
        windows.window_days,
        seen.segment_type,
        seen.segment_value
    from {{ days_since_launch() }} as days
    cross join {{ windows([1, 7, 28, 365]) }} as windows
    cross join {{ segments_in('segmented') }} as seen

),

summed as (

    select
        cells.*,
        sum(coalesce(segmented.change, 0)) over (
            partition by cells.window_days, cells.segment_type, cells.segment_value
            order by cells.date_day
            rows between unbounded preceding and current row
        ) as user_count
    from cells
    left join segmented
        on
            cells.date_day = segmented.change_date
            and cells.window_days = segmented.window_days
            and cells.segment_type = segmented.segment_type
            and cells.segment_value = segmented.segment_value

)

select
    -- keys
    date_day as activity_date,
    window_days,
    segment_type,
    segment_value,

    -- how many
    case when not is_gap then cast(user_count as bigint) end as active_users,
    landed_days >= window_days as is_full_window
from summed
