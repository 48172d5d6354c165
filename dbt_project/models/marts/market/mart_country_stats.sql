-- Grain: one row per country or aggregate and year that the World Bank answers with (country_code, year).
select
    -- keys
    stats.country_code,
    stats.year,

    -- what; NULL of what is not listed, whose figures are kept all the same
    countries.country_name,
    countries.is_aggregate,
    countries.region_name,
    countries.income_group,

    -- people
    stats.population,
    stats.population_0_14,
    stats.population_15_64,
    stats.population_65_up,

    -- their connections
    stats.broadband_subscriptions,
    stats.mobile_subscriptions
from {{ ref('int_country_year__pivoted') }} as stats
left join {{ ref('dim_country') }} as countries on stats.country_code = countries.country_code
