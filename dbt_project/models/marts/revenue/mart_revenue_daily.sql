-- Grain: one row per day and segment (revenue_date, segment_type, segment_value).
{%- set segments = ['total', 'plan', 'country', 'region', 'income_group'] %}
with

standing as (

    select
        paid_date,
        plan_id,
        country_code,
        user_id,
        kind,
        is_settled,
        amount_usd,
        revenue_usd
    from {{ ref('fct_payment') }}
    where status <> 'failed'

),

counted as (

    select
        paid_date,
        segment_type,
        segment_value,
        sum(case when is_settled and kind = 'charge' then amount_usd else 0 end) as charged_usd,
        sum(case when is_settled and kind = 'refund' then amount_usd else 0 end) as refunded_usd,
        sum(revenue_usd) as revenue_usd,
        -- Here, and not added up of parts: who changes the plan may pay in two of them on a day.
        count(distinct case when is_settled and kind = 'charge' then user_id end) as paying_users,
        count(case when is_settled and kind = 'charge' then 1 end) as charge_count,
        count(case when is_settled and kind = 'refund' then 1 end) as refund_count,
        count(case when not is_settled then 1 end) as pending_count
    from {{ by_segment('standing', segments) }} as by_segment
    group by paid_date, segment_type, segment_value

)

select
    -- keys
    days.date_day as revenue_date,
    coalesce(counted.segment_type, 'total') as segment_type,
    coalesce(counted.segment_value, 'all') as segment_value,

    -- money
    cast(case when not days.is_gap then coalesce(counted.charged_usd, 0) end as decimal(18, 4)) as charged_usd,
    cast(case when not days.is_gap then coalesce(counted.refunded_usd, 0) end as decimal(18, 4)) as refunded_usd,
    cast(case when not days.is_gap then coalesce(counted.revenue_usd, 0) end as decimal(18, 4)) as revenue_usd,

    -- how many
    case when not days.is_gap then coalesce(counted.paying_users, 0) end as paying_users,
    case when not days.is_gap then coalesce(counted.charge_count, 0) end as charge_count,
    case when not days.is_gap then coalesce(counted.refund_count, 0) end as refund_count,
    case when not days.is_gap then coalesce(counted.pending_count, 0) end as pending_count
from {{ days_since_launch() }} as days
left join counted on days.date_day = counted.paid_date and not days.is_gap
