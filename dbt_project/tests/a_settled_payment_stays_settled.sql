with

followed as (

    select
        payment_id,
        change_id,
        changed_at,
        status,
        lag(status) over (partition by payment_id order by changed_at, change_id) as previous_status
    from {{ ref('stg_warehouse__payment_change') }}

)

select
    payment_id,
    change_id,
    changed_at,
    previous_status,
    status
from followed
where
    previous_status = 'settled'
    and status <> 'settled'
