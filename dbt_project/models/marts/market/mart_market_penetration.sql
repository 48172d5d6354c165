-- Grain: one row per day and segment (activity_date, segment_type, segment_value).
with

latest as (

    select
        country_code,
        max_by(population, year) filter (where population is not null) as population,
        max_by(mobile_subscriptions, year) filter (where mobile_subscriptions is not null) as mobile_subscriptions
    from {{ ref('mart_country_stats') }}
    where not is_aggregate
    group by country_code

),

-- Of all countries of a segment, also those where nobody uses the product: they are part of what is to be won.
markets as (

    select
        segment_type,
        segment_value,
        cast(sum(population) as bigint) as population,
        cast(sum(mobile_subscriptions) as bigint) as mobile_subscriptions
    from {{ by_segment('latest', ['total', 'country', 'region', 'income_group']) }} as by_segment
    where segment_value <> 'unknown'
    group by segment_type, segment_value

),

rated as (

    select
        users.activity_date,
        users.segment_type,
        users.segment_value,
        users.active_users,
        users.is_full_window,
        markets.population,
        markets.mobile_subscriptions,
        1000000 * users.active_users / nullif(markets.population, 0) as users_per_million_people,
        1000000 * users.active_users
        / nullif(markets.mobile_subscriptions, 0) as users_per_million_mobile_subscriptions
    from {{ ref('mart_active_users_rolling') }} as users
    left join markets
        on
            users.segment_type = markets.segment_type
            and users.segment_value = markets.segment_value
    where users.window_days = 28 and users.segment_type in ('total', 'country', 'region', 'income_group')

),

-- What has no rate comes last, and has no rank.
ranked as (

    select
        {% for rate in ['users_per_million_people', 'users_per_million_mobile_subscriptions'] %}
            case
                when rated.{{ rate }} is not null
                    then row_number() over (
                        partition by rated.activity_date, rated.segment_type
                        order by coalesce(rated.{{ rate }}, -1) desc, rated.segment_value
                    )
            end as {{ rate }}_rank,
        {% endfor %}
        rated.*
    from rated

)

-- Seven rows before is a week before: mart_active_users_rolling has each day of each segment.
select
    -- keys
    activity_date,
    segment_type,
    segment_value,

    -- users and markets
    active_users,
    population,
    mobile_subscriptions,

    -- how much of its market a segment has won, in which place that is, and what changed since a week before
    {% for measure in [
        'users_per_million_people',
        'users_per_million_people_rank',
        'users_per_million_mobile_subscriptions',
        'users_per_million_mobile_subscriptions_rank',
    ] %}
        {{ measure }},
        {{ measure }} - lag({{ measure }}, 7) over (
            partition by segment_type, segment_value order by activity_date
        ) as {{ measure }}_change,
    {% endfor %}

    -- whether all of the 28 days are there
    is_full_window
from ranked
