-- Grain: one row per change of an account (change_id).
-- Neither e-mail nor name goes further than the lake, not even hashed: nothing here needs them.
with

source as (

    select * from {{ lake('warehouse', 'account_changes') }}

),

renamed as (

    select
        -- keys
        change_id,
        user_id,

        -- what
        change_type,

        -- who and where
        country_code,
        acquisition_platform,
        birth_year,
        has_marketing_consent,

        -- when
        changed_at,
        created_at

    from source

)

select * from renamed
