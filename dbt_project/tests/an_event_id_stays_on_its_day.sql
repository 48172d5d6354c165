{{ config(severity='warn') }}

select
    event_id,
    min(event_date) as first_date,
    max(event_date) as last_date
from {{ ref('stg_events__event') }}
group by event_id
having {{ days_between('min(event_date)', 'max(event_date)') }} > 1
