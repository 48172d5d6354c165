-- Grain: one row per day with rates, base and currency (published_date, base_currency_code, currency_code).
with

source as (

    select * from {{ lake('fx', 'rates') }}

),

renamed as (

    select
        -- keys
        rate_date as published_date,
        base_currency as base_currency_code,
        currency_code,

        -- how much
        rate as units_per_base

    from source

)

select * from renamed
