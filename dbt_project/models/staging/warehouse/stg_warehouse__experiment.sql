-- Grain: one row per experiment (experiment_id).
with

source as (

    select * from {{ lake('warehouse', 'experiments') }}

),

renamed as (

    select
        -- keys
        experiment_id,

        -- what
        experiment_name,
        goal_metric,
        treatment_share,

        -- when
        started_at,
        ended_at

    from source

)

select * from renamed
