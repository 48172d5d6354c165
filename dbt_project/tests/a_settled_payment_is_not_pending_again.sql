with

changes as (

    select
        *,
        bool_or(status = 'settled') over (partition by payment_id) as has_settled,
        row_number() over (partition by payment_id order by changed_at desc, change_id desc) as recency
    from {{ ref('stg_warehouse__payment_change') }}

)

select
    payment_id,
    change_id,
    changed_at,
    status
from changes
where
    recency = 1
    and has_settled
    and status = 'pending'
