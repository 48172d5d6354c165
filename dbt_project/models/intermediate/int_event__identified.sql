-- Grain: one row per event and day (event_id, event_date).
{#- A table, because many models read it, and each would sort all events again. -#}
{{ config(materialized='table') }}

with

events as (

    select * from {{ ref('int_event__deduplicated') }}

)

select
    *,
    {{ next_known('user_id', 'device_id, session_id', 'event_at, event_id') }} as attributed_user_id,
    row_number() over (partition by device_id, session_id order by event_at, event_id) as session_event_number
from events
