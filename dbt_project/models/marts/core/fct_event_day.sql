-- Grain: one row per day on which events happened (event_date).
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('event_date') }}",
) }}

with

copies as (

    select
        event_date,
        count(*) as copy_count
    from {{ ref('stg_events__event') }}
    where {{ is_among('event_date', 'restated_dates') }}
    group by event_date

),

events as (

    select
        event_date,
        count(*) as event_count,
        count(case when received_date > event_date then 1 end) as late_event_count
    from {{ ref('int_event__deduplicated') }}
    where {{ is_among('event_date', 'restated_dates') }}
    group by event_date

)

select
    copies.event_date,
    copies.copy_count,
    coalesce(events.event_count, 0) as event_count,
    coalesce(events.late_event_count, 0) as late_event_count
from copies
left join events on copies.event_date = events.event_date
