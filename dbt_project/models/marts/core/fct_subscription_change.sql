-- Grain: one row per change of a subscription (change_id).
with

changes as (

    select
        *,
        lag(status) over (partition by subscription_id order by changed_at, change_id) as previous_status,
        lag(plan_id) over (partition by subscription_id order by changed_at, change_id) as previous_plan_id,
        lead(changed_at) over (partition by subscription_id order by changed_at, change_id) as next_changed_at,
        row_number() over (partition by subscription_id order by changed_at, change_id) as change_number
    from {{ ref('stg_warehouse__subscription_change') }}

)

select
    -- keys; plan_key is made as in dim_plan
    change_id,
    subscription_id,
    user_id,
    {{ key_of('plan_id', 'currency_code') }} as plan_key,
    plan_id,
    currency_code,

    -- what
    status,
    previous_status,
    previous_plan_id,

    -- when
    changed_at,
    cast(changed_at as date) as change_date,
    next_changed_at,
    change_number
from changes
