-- Grain: one row per indicator, country or aggregate, and year (indicator_id, country_code, year).
with

source as (

    select * from {{ lake('world_bank', 'indicators') }}

),

renamed as (

    select
        -- keys
        indicator_id,
        country_iso2 as country_code,
        year,

        -- what
        trim(indicator_name) as indicator_name,
        value,

        -- when
        updated_date

    from source

)

select * from renamed
