-- Grain: one row per plan and currency of its price (plan_id, currency_code), known by plan_key.
select
    -- keys; one digest inside the other, so that no choice of ids can make two pairs look alike
    md5(md5(plan_id) || currency_code) as plan_key,
    plan_id,
    currency_code,

    -- what
    plan_name,
    monthly_price,
    trial_days
from {{ ref('stg_warehouse__plan') }}
