-- Grain: one row per payment or refund, in its latest state (payment_id).
with

changes as (

    select
        *,
        row_number() over (partition by payment_id order by changed_at desc, change_id desc) as recency,
        count(*) over (partition by payment_id) as change_count
    from {{ ref('stg_warehouse__payment_change') }}

),

payments as (

    select
        *,
        cast(paid_at as date) as paid_date,
        status = 'settled' as is_settled,
        case when status <> 'pending' then changed_at end as resolved_at
    from changes
    where recency = 1

),

-- In doubles, because engines keep different decimals of a division, and rounded once. Half of the last place goes up,
-- but as a double it may lie just below: 1e-14 of it is added, 20 times what three operations can be wrong by. Without
-- it 0.4% of the euro amounts (to the cent, at rates of 4 decimals) are 0.0001 too low, and on other engines others.
converted as (

    select
        payments.*,
        cast(
            round( -- noqa: portable.rounding
                cast(payments.amount as double)
                * cast(rates.usd_per_eur as double)
                / cast(nullif(rates.units_per_eur, 0) as double)
                * (1 + 1e-14),
                4
            ) as decimal(18, 4)
        ) as amount_usd
    from payments
    left join {{ ref('fct_fx_rate_day') }} as rates
        on
            payments.paid_date = rates.rate_date
            and payments.currency_code = rates.currency_code

),

-- Both hold from a moment until before the next one, so that no payment finds two of them.
explained as (

    select
        converted.*,
        subscription.plan_id,
        account.country_code
    from converted
    left join {{ ref('fct_subscription_change') }} as subscription
        on
            converted.subscription_id = subscription.subscription_id
            and converted.paid_at >= subscription.changed_at
            and (converted.paid_at < subscription.next_changed_at or subscription.next_changed_at is null)
    left join {{ ref('dim_user') }} as account
        on
            converted.user_id = account.user_id
            and converted.paid_at >= account.valid_from
            and (converted.paid_at < account.valid_to or account.is_current)

)

select
    -- keys
    payment_id,
    subscription_id,
    user_id,
    plan_id,

    -- where
    country_code,

    -- what
    kind,
    status,
    is_settled,

    -- how much
    amount,
    currency_code,

    -- when
    paid_at,
    paid_date,
    resolved_at,
    change_count,

    -- in dollars
    amount_usd,
    cast(
        case
            when not is_settled then 0
            when kind = 'refund' then -amount_usd
            else amount_usd
        end as decimal(18, 4)
    ) as revenue_usd
from explained
