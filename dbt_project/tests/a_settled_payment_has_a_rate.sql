select
    payment_id,
    paid_date,
    currency_code
from {{ ref('fct_payment') }}
where
    is_settled
    and amount_usd is null
