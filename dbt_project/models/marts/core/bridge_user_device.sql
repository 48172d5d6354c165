-- Grain: one row per user and device that the user was ever seen on (user_id, device_id).
with

pairs as (

    select
        user_id,
        device_id,
        min(activity_date) as first_activity_date,
        max(activity_date) as last_activity_date,
        count(*) as active_day_count
    from {{ ref('fct_user_device_day') }}
    group by user_id, device_id

)

select
    -- keys
    user_id,
    device_id,

    -- over all days on which both met
    first_activity_date,
    last_activity_date,
    active_day_count,

    -- shares
    1 / count(*) over (partition by user_id) as device_weight,
    1 / count(*) over (partition by device_id) as user_weight
from pairs
