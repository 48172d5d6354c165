-- Grain: one row per user and version of the account (user_id, valid_from), known by user_key.
{#- What a version is about: a change of any of these begins one. #}
{%- set tracked = [
    'account_status', 'created_at', 'country_code', 'acquisition_platform', 'birth_year', 'has_marketing_consent',
] %}

with

changes as (

    select
        *,
        row_number() over (partition by user_id, changed_at order by change_id desc) as recency_in_moment,
        -- An account that was closed stays closed, whatever is still changed in it.
        case
            when bool_or(change_type = 'closed') over (
                partition by user_id
                order by changed_at asc, change_id asc
                rows between unbounded preceding and current row
            ) then 'closed'
            else 'open'
        end as account_status
    from {{ ref('stg_warehouse__account_change') }}

),

-- One state a moment: of several changes at once the last one counts.
states as (

    select * from changes
    where recency_in_moment = 1

),

compared as (

    select
        {% for column in tracked -%}
            lag({{ column }}) over (partition by user_id order by changed_at) as previous_{{ column }},
        {% endfor -%}
        *
    from states

),

versions as (

    select * from compared
    where
        {% for column in tracked -%}
            {{ 'or ' if not loop.first }}{{ column }} is distinct from previous_{{ column }}
        {% endfor %}

),

ordered as (

    select
        *,
        lead(changed_at) over (partition by user_id order by changed_at) as next_changed_at,
        row_number() over (partition by user_id order by changed_at) as version_number
    from versions

)

select
    -- keys
    {{ key_of('user_id', 'cast(change_id as string)') }} as user_key,
    user_id,

    -- when the version holds
    changed_at as valid_from,
    next_changed_at as valid_to,
    next_changed_at is null as is_current,
    version_number,

    -- the account
    account_status,
    created_at,
    cast(created_at as date) as created_date,

    -- who and where
    country_code,
    acquisition_platform,
    birth_year,
    has_marketing_consent
from ordered
