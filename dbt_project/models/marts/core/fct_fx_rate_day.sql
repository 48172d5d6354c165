-- Grain: one row per day since launch and currency with a rate of the last 7 days (rate_date, currency_code).
with

published as (

    select
        published_date,
        currency_code,
        units_per_base as units_per_eur,
        lead(published_date) over (partition by currency_code order by published_date) as next_published_date
    from {{ ref('stg_fx__rate') }}
    where base_currency_code = 'EUR'

),

-- A rate holds until the currency's next one, and for 7 days at most: then it is no longer known what money is worth.
carried as (

    select
        published.currency_code,
        published.published_date,
        published.units_per_eur,
        ages.n as age_days,
        {{ add_days('published.published_date', 'ages.n') }} as rate_date
    from published
    cross join {{ integers(0, 7) }} as ages
    where
        published.next_published_date is null
        or {{ add_days('published.published_date', 'ages.n') }} < published.next_published_date

),

rates as (

    select
        carried.rate_date,
        carried.currency_code,
        carried.published_date,
        carried.age_days,
        carried.units_per_eur
    from carried
    inner join {{ ref('dim_date') }} as calendar on carried.rate_date = calendar.date_day

    union all

    select
        date_day as rate_date,
        'EUR' as currency_code,
        date_day as published_date,
        0 as age_days,
        1 as units_per_eur
    from {{ ref('dim_date') }}

),

dollars as (

    select
        rate_date,
        units_per_eur as usd_per_eur
    from rates
    where currency_code = 'USD'

)

select
    -- keys
    rates.rate_date,
    rates.currency_code,

    -- when
    rates.published_date,
    cast(rates.age_days as bigint) as age_days,

    -- how much
    cast(rates.units_per_eur as decimal(18, 8)) as units_per_eur,
    cast(dollars.usd_per_eur as decimal(18, 8)) as usd_per_eur
from rates
left join dollars on rates.rate_date = dollars.rate_date
