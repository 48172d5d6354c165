-- Grain: one row per plan and currency of its price (plan_id, currency_code).
with

source as (

    select * from {{ lake('warehouse', 'plans') }}

),

renamed as (

    select
        -- keys
        plan_id,
        currency_code,

        -- what
        plan_name,
        monthly_price,
        trial_days

    from source

)

select * from renamed
