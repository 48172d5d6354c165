-- A re-delivery may carry a clock correction that differs by milliseconds, which can move it across one midnight.
-- Two copies further apart than that are two events with one id: builds that read other days would keep another one.
select
    event_id,
    min(event_date) as first_date,
    max(event_date) as last_date
from {{ ref('stg_events__event') }}
group by event_id
having {{ days_between('min(event_date)', 'max(event_date)') }} > 1
