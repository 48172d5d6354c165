-- Grain: one row per country or aggregate and year that the World Bank answers with (country_code, year).
with

answers as (

    select * from {{ ref('stg_world_bank__indicator') }}

),

-- Of each indicator there is one value at most: max takes it out from among the NULLs of the others.
pivoted as (

    select
        country_code,
        year,
        max(case when indicator_id = 'SP.POP.TOTL' then value end) as population,
        max(case when indicator_id = 'SP.POP.0014.TO' then value end) as population_0_14,
        max(case when indicator_id = 'SP.POP.1564.TO' then value end) as population_15_64,
        max(case when indicator_id = 'SP.POP.65UP.TO' then value end) as population_65_up,
        max(case when indicator_id = 'IT.NET.BBND' then value end) as broadband_subscriptions,
        max(case when indicator_id = 'IT.CEL.SETS' then value end) as mobile_subscriptions,
        max(case when indicator_id = 'NY.GNP.ATLS.CD' then value end) as gni_usd,
        max(case when indicator_id = 'NY.GDP.MKTP.KD' then value end) as gdp_constant_usd,
        max(case when indicator_id = 'NY.GDP.PCAP.KD' then value end) as gdp_per_head_constant_usd,
        max(case when indicator_id = 'IC.REG.COST.PC.ZS' then value end) as startup_cost_percent,
        max(case when indicator_id = 'IC.REG.DURS' then value end) as startup_days,
        max(case when indicator_id = 'IC.REG.PROC' then value end) as startup_procedures,
        max(case when indicator_id = 'IQ.CPA.BREG.XQ' then value end) as regulation_rating,
        max(case when indicator_id = 'IC.BUS.EASE.XQ' then value end) as ease_of_business_rank
    from answers
    group by country_code, year

)

select
    -- keys
    country_code,
    year,

    -- people and their connections, whole: a fraction is left over from how an aggregate was estimated
    cast(floor(population + 0.5) as bigint) as population,
    cast(floor(population_0_14 + 0.5) as bigint) as population_0_14,
    cast(floor(population_15_64 + 0.5) as bigint) as population_15_64,
    cast(floor(population_65_up + 0.5) as bigint) as population_65_up,
    cast(floor(broadband_subscriptions + 0.5) as bigint) as broadband_subscriptions,
    cast(floor(mobile_subscriptions + 0.5) as bigint) as mobile_subscriptions,

    -- money and business
    gni_usd,
    gdp_constant_usd,
    gdp_per_head_constant_usd,
    startup_cost_percent,
    startup_days,
    startup_procedures,
    regulation_rating,
    ease_of_business_rank
from pivoted
