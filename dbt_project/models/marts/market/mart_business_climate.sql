-- Grain: one row per country or aggregate that the World Bank answers with (country_code).
{%- set indicators = [
    'gni_usd',
    'gdp_constant_usd',
    'gdp_per_head_constant_usd',
    'startup_cost_percent',
    'startup_days',
    'startup_procedures',
    'regulation_rating',
    'ease_of_business_rank',
] %}
with

years as (

    select * from {{ ref('int_country_year__pivoted') }}

),

latest as (

    select
        {% for indicator in indicators %}
            max_by({{ indicator }}, year) filter (where {{ indicator }} is not null) as {{ indicator }},
            max(case when {{ indicator }} is not null then year end) as {{ indicator }}_year,
        {% endfor %}
        country_code
    from years
    group by country_code

)

select
    -- keys
    latest.country_code,

    -- what; NULL of a country that is not listed
    countries.country_name,
    countries.is_aggregate,
    countries.region_name,
    countries.income_group,

    -- the latest value of each indicator
    {% for indicator in indicators %}
        latest.{{ indicator }},
        latest.{{ indicator }}_year,
    {% endfor %}

    -- what it costs to start a business: as the workshop has it, and for a person
    latest.startup_cost_percent / 100 * latest.gni_usd as startup_cost_usd,
    latest.startup_cost_percent / 100
    * of_that_year.gni_usd / nullif(of_that_year.population, 0) as startup_cost_per_head_usd
from latest
left join years as of_that_year
    on
        latest.country_code = of_that_year.country_code
        and latest.startup_cost_percent_year = of_that_year.year
left join {{ ref('dim_country') }} as countries on latest.country_code = countries.country_code
