-- Grain: one row per country or aggregate, indicator and year with a value (country_code, indicator_id, year).
with

known as (

    select * from {{ ref('stg_world_bank__indicator') }}
    where value is not null

)

select
    -- keys
    known.country_code,
    known.indicator_id,
    known.year,

    -- what
    known.indicator_name,
    known.value,
    countries.is_aggregate
from known
left join {{ ref('dim_country') }} as countries on known.country_code = countries.country_code
