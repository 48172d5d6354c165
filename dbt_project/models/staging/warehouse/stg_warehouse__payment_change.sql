-- Grain: one row per change of a payment (change_id).
with

source as (

    select * from {{ lake('warehouse', 'payments') }}

),

renamed as (

    select
        -- keys
        change_id,
        payment_id,
        subscription_id,
        user_id,

        -- what
        kind,
        status,

        -- how much
        amount,
        currency_code,

        -- when
        changed_at,
        paid_at

    from source

)

select * from renamed
