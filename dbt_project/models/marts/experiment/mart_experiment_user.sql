-- Grain: one row per experiment and user who saw it while it ran (experiment_id, user_id).
with

-- All seven days after the first sight of it are over, have landed, and lie before the end: after it all see the same.
exposed as (

    select
        exposures.*,
        coalesce(last_days.landed_days >= 7, false)
        and (
            experiments.ended_at is null
            or {{ add_days('exposures.exposure_date', 7) }} < cast(experiments.ended_at as date)
        ) as is_measured
    from {{ ref('fct_experiment_exposure') }} as exposures
    left join {{ ref('dim_experiment') }} as experiments on exposures.experiment_id = experiments.experiment_id
    left join {{ days_since_launch() }} as last_days
        on {{ add_days('exposures.exposure_date', 7) }} = last_days.date_day

),

-- Decimals, because the sum of doubles depends on their order.
active as (

    select
        exposed.experiment_id,
        exposed.user_id,
        bool_or(
            activity.is_active and activity.activity_date = {{ add_days('exposed.exposure_date', 7) }}
        ) as is_retained_day_7,
        cast(sum(cast(activity.watched_seconds as decimal(18, 6))) as double) as watched_seconds
    from exposed
    inner join {{ ref('fct_user_activity_day') }} as activity
        on
            exposed.user_id = activity.user_id
            and exposed.exposure_date < activity.activity_date
            and {{ add_days('exposed.exposure_date', 7) }} >= activity.activity_date
    where exposed.is_measured
    group by exposed.experiment_id, exposed.user_id

),

opened as (

    select
        exposed.experiment_id,
        exposed.user_id,
        count(sessions.is_crash_free) as started_sessions,
        count(case when sessions.is_crash_free then 1 end) as crash_free_sessions,
        count(sessions.time_to_ready_seconds) as ready_sessions,
        cast(sum(cast(sessions.time_to_ready_seconds as decimal(18, 6))) as double) as time_to_ready_seconds
    from exposed
    inner join {{ ref('fct_session') }} as sessions
        on
            exposed.user_id = sessions.user_id
            and exposed.exposure_date < sessions.session_date
            and {{ add_days('exposed.exposure_date', 7) }} >= sessions.session_date
    where exposed.is_measured
    group by exposed.experiment_id, exposed.user_id

)

select
    -- keys
    exposed.experiment_id,
    exposed.user_id,

    -- what was seen
    exposed.variant_id,
    exposed.exposure_date,
    exposed.has_seen_others,

    -- what came of it in the seven days after
    exposed.is_measured,
    case when exposed.is_measured then coalesce(active.is_retained_day_7, false) end as is_retained_day_7,
    case when exposed.is_measured then coalesce(active.watched_seconds, 0) end as watched_seconds,
    case when exposed.is_measured then coalesce(opened.started_sessions, 0) end as started_sessions,
    case when exposed.is_measured then coalesce(opened.crash_free_sessions, 0) end as crash_free_sessions,
    case when exposed.is_measured then coalesce(opened.ready_sessions, 0) end as ready_sessions,
    case when exposed.is_measured then coalesce(opened.time_to_ready_seconds, 0) end as time_to_ready_seconds
from exposed
left join active
    on
        exposed.experiment_id = active.experiment_id
        and exposed.user_id = active.user_id
left join opened
    on
        exposed.experiment_id = opened.experiment_id
        and exposed.user_id = opened.user_id
