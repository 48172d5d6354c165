-- Grain: one row per experiment and user who saw it while it ran (experiment_id, user_id).
with

ordered as (

    select
        exposures.*,
        row_number() over (
            partition by exposures.experiment_id, exposures.user_id
            order by exposures.exposed_at, exposures.event_id
        ) as exposure_number,
        min(exposures.variant_id) over (partition by exposures.experiment_id, exposures.user_id) as least_variant_id,
        max(exposures.variant_id) over (partition by exposures.experiment_id, exposures.user_id) as greatest_variant_id
    from {{ ref('fct_experiment_exposure_day') }} as exposures
    left join {{ ref('dim_experiment') }} as experiments on exposures.experiment_id = experiments.experiment_id
    where
        -- By day: of each day only the first sight is kept, and it may lie just before a start.
        exposures.exposure_date >= coalesce(cast(experiments.started_at as date), exposures.exposure_date)
        and (experiments.ended_at is null or exposures.exposed_at < experiments.ended_at)

)

select
    -- keys
    ordered.experiment_id,
    ordered.user_id,
    ordered.event_id,
    ordered.device_id,
    ordered.session_id,

    -- when
    ordered.exposure_date,
    ordered.exposed_at,

    -- what
    ordered.variant_id,
    assignments.variant_id as assigned_variant_id,
    ordered.least_variant_id <> ordered.greatest_variant_id as has_seen_others,

    -- where and with what
    ordered.platform,
    ordered.app_version,
    ordered.country_code
from ordered
left join {{ ref('stg_warehouse__experiment_assignment') }} as assignments
    on
        ordered.experiment_id = assignments.experiment_id
        and ordered.user_id = assignments.user_id
where ordered.exposure_number = 1
