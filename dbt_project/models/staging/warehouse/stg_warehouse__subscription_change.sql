-- Grain: one row per change of a subscription (change_id).
with

source as (

    select * from {{ lake('warehouse', 'subscription_changes') }}

),

renamed as (

    select
        -- keys
        change_id,
        subscription_id,
        user_id,
        plan_id,
        currency_code,

        -- what
        status,

        -- when
        changed_at

    from source

)

select * from renamed
