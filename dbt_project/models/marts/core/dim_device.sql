-- Grain: one row per device (device_id).
with

sessions as (

    select
        *,
        row_number() over (partition by device_id order by started_at asc, session_key asc) as age,
        row_number() over (partition by device_id order by started_at desc, session_key desc) as recency
    from {{ ref('fct_session') }}

),

devices as (

    select
        device_id,
        max(platform) filter (where recency = 1) as platform,
        max(device_model) filter (where recency = 1) as device_model,
        max(os_version) filter (where recency = 1) as os_version,
        max(app_version) filter (where recency = 1) as app_version,
        max(app_version) filter (where age = 1) as first_app_version,
        count(distinct app_version) as app_version_count,
        max(country_code) filter (where recency = 1) as country_code,
        min(session_date) as first_session_date,
        max(session_date) as last_session_date,
        count(*) as session_count
    from sessions
    group by device_id

)

select
    -- keys
    device_id,

    -- as of its latest session
    platform,
    case
        when platform = 'tv' then 'television'
        when platform = 'web' then 'browser'
        when lower(device_model) like '%pad%' or lower(device_model) like '%tab%' then 'tablet'
        else 'phone'
    end as form_factor,
    device_model,
    os_version,
    country_code,

    -- the app's versions on it
    app_version,
    first_app_version,
    app_version_count,

    -- over all its sessions
    first_session_date,
    last_session_date,
    session_count
from devices
