-- Grain: one row per plan and currency of its price (plan_id, currency_code), known by plan_key.
select
    -- keys
    {{ key_of('plan_id', 'currency_code') }} as plan_key,
    plan_id,
    currency_code,

    -- what
    plan_name,
    monthly_price,
    trial_days
from {{ ref('stg_warehouse__plan') }}
