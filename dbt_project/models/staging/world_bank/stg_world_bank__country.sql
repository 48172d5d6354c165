-- Grain: one row per country or aggregate of countries (country_code).
with

source as (

    select * from {{ lake('world_bank', 'countries') }}

),

renamed as (

    select
        -- keys
        country_iso2 as country_code,
        country_iso3,

        -- what
        trim(country_name) as country_name,

        -- groups; some names come with a trailing space
        region_id,
        trim(region_name) as region_name,
        income_level_id as income_group_id,
        trim(income_level_name) as income_group,
        lending_type_id,
        trim(lending_type_name) as lending_type,

        -- where
        capital_city,
        longitude,
        latitude

    from source

)

select * from renamed
