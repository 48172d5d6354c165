-- Grain: one row per device (device_id).
with

sessions as (

    select
        *,
        row_number() over (partition by device_id order by started_at desc, session_key desc) as recency
    from {{ ref('fct_session') }}

)

select
    -- keys
    device_id,

    -- as of its latest session
    max(platform) filter (where recency = 1) as platform,
    max(device_model) filter (where recency = 1) as device_model,
    max(os_version) filter (where recency = 1) as os_version,
    max(app_version) filter (where recency = 1) as app_version,
    max(country_code) filter (where recency = 1) as country_code,

    -- over all its sessions
    min(session_date) as first_session_date,
    max(session_date) as last_session_date,
    count(*) as session_count
from sessions
group by device_id
