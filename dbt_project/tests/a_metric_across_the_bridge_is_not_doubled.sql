-- Watch time of users, shared out to their devices, and sessions of devices, shared out to their users.
with

users as (

    select
        user_id,
        sum(watched_seconds) as watched_seconds
    from {{ ref('fct_user_activity_day') }}
    group by user_id

),

across as (

    select
        'watched_seconds' as metric,
        sum(users.watched_seconds * bridge.device_weight) as shared_out
    from users
    inner join {{ ref('bridge_user_device') }} as bridge on users.user_id = bridge.user_id

    union all

    select
        'session_count' as metric,
        sum(devices.session_count * bridge.user_weight) as shared_out
    from {{ ref('dim_device') }} as devices
    inner join {{ ref('bridge_user_device') }} as bridge on devices.device_id = bridge.device_id

),

before as (

    select
        'watched_seconds' as metric,
        sum(watched_seconds) as counted_once
    from users

    union all

    select
        'session_count' as metric,
        sum(devices.session_count) as counted_once
    from {{ ref('dim_device') }} as devices
    where exists (
        select 1
        from {{ ref('bridge_user_device') }} as bridge
        where devices.device_id = bridge.device_id
    )

)

select
    before.metric,
    before.counted_once,
    across.shared_out
from before
inner join across on before.metric = across.metric
where
    abs(coalesce(across.shared_out, 0) - coalesce(before.counted_once, 0)) > 1e-9 * coalesce(before.counted_once, 0)
