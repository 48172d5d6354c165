-- Grain: one row per country or aggregate of countries (country_code).
with

listed as (

    select
        *,
        -- By the region's name: its code is NA, as is Namibia's own.
        coalesce(region_name = 'Aggregates', false) as is_aggregate
    from {{ ref('stg_world_bank__country') }}

)

select
    -- keys
    country_code,
    country_iso3,

    -- what
    country_name,
    is_aggregate,

    -- groups; an aggregate belongs to none
    case when not is_aggregate then region_name end as region_name,
    case when not is_aggregate then income_group end as income_group,
    case when not is_aggregate then lending_type end as lending_type,

    -- where
    capital_city,
    longitude,
    latitude
from listed
