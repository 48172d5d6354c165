-- Grain: one row per day that has landed, from launch to the last one (date_day).
select date_day
from {{ ref('dim_date') }}
where not {{ is_among('date_day', 'gap_dates') }}
