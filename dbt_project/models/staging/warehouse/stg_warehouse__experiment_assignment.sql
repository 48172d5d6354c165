-- Grain: one row per experiment and user (experiment_id, user_id).
with

source as (

    select * from {{ lake('warehouse', 'experiment_assignments') }}

),

renamed as (

    select
        -- keys
        experiment_id,
        user_id,

        -- what
        variant_id,

        -- when
        assigned_at

    from source

)

select * from renamed
