-- Grain: one row per user, device and day with an event of that user on it (user_id, device_id, activity_date).
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_restated('activity_date') }}",
) }}

with

events as (

    select * from {{ ref('int_event__identified') }}

)

select
    attributed_user_id as user_id,
    device_id,
    event_date as activity_date,
    count(*) as event_count
from events
where
    attributed_user_id is not null
    and {{ is_among('event_date', 'restated_dates') }}
group by attributed_user_id, device_id, event_date
