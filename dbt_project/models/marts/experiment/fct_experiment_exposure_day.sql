-- Grain: one row per experiment, variant, user and day on which that user saw it
-- (experiment_id, variant_id, user_id, exposure_date).
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('exposure_date') }}",
) }}

with

events as (

    select * from {{ ref('int_event__identified') }}
    where
        event_name = 'experiment_exposure'
        and attributed_user_id is not null
        and {{ is_among('event_date', 'restated_dates') }}

),

ordered as (

    select
        *,
        row_number() over (
            partition by experiment_id, variant_id, attributed_user_id, event_date
            order by event_at, event_id
        ) as day_number
    from events

)

select
    -- keys
    experiment_id,
    variant_id,
    attributed_user_id as user_id,
    event_date as exposure_date,
    event_id,
    device_id,
    session_id,

    -- when
    event_at as exposed_at,

    -- where and with what
    platform,
    app_version,
    country_code
from ordered
where day_number = 1
