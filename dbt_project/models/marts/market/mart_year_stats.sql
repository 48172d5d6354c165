-- Grain: one row per year (year).
select
    -- keys
    year,

    -- how many countries there are
    count(case when not is_aggregate then 1 end) as country_count,

    -- sums over countries, of the values that are there
    cast(sum(case when not is_aggregate then population end) as bigint) as population,
    cast(sum(case when not is_aggregate then population_0_14 end) as bigint) as population_0_14,
    cast(sum(case when not is_aggregate then population_15_64 end) as bigint) as population_15_64,
    cast(sum(case when not is_aggregate then population_65_up end) as bigint) as population_65_up,
    cast(sum(case when not is_aggregate then broadband_subscriptions end) as bigint) as broadband_subscriptions,
    cast(sum(case when not is_aggregate then mobile_subscriptions end) as bigint) as mobile_subscriptions,

    -- how many countries each sum is made of
    count(case when not is_aggregate then population end) as population_country_count,
    count(case when not is_aggregate then population_0_14 end) as population_0_14_country_count,
    count(case when not is_aggregate then population_15_64 end) as population_15_64_country_count,
    count(case when not is_aggregate then population_65_up end) as population_65_up_country_count,
    count(case when not is_aggregate then broadband_subscriptions end) as broadband_subscriptions_country_count,
    count(case when not is_aggregate then mobile_subscriptions end) as mobile_subscriptions_country_count,

    -- sums over all that came, with aggregates
    cast(sum(population) as bigint) as naive_population,
    cast(sum(population_0_14) as bigint) as naive_population_0_14,
    cast(sum(population_15_64) as bigint) as naive_population_15_64,
    cast(sum(population_65_up) as bigint) as naive_population_65_up,
    cast(sum(broadband_subscriptions) as bigint) as naive_broadband_subscriptions,
    cast(sum(mobile_subscriptions) as bigint) as naive_mobile_subscriptions
from {{ ref('mart_country_stats') }}
group by year
