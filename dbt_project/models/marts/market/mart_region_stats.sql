-- Grain: one row per region and year (region_name, year).
select
    -- keys
    region_name,
    year,

    -- how many countries there are
    count(*) as country_count,

    -- sums of the values that are there
    cast(sum(population) as bigint) as population,
    cast(sum(population_0_14) as bigint) as population_0_14,
    cast(sum(population_15_64) as bigint) as population_15_64,
    cast(sum(population_65_up) as bigint) as population_65_up,
    cast(sum(broadband_subscriptions) as bigint) as broadband_subscriptions,
    cast(sum(mobile_subscriptions) as bigint) as mobile_subscriptions,

    -- how many countries each sum is made of
    count(population) as population_country_count,
    count(population_0_14) as population_0_14_country_count,
    count(population_15_64) as population_15_64_country_count,
    count(population_65_up) as population_65_up_country_count,
    count(broadband_subscriptions) as broadband_subscriptions_country_count,
    count(mobile_subscriptions) as mobile_subscriptions_country_count
from {{ ref('mart_country_stats') }}
where region_name is not null -- an aggregate is in none
group by region_name, year
