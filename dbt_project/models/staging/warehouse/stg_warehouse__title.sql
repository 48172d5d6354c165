-- Grain: one row per title (title_id).
with

source as (

    select * from {{ lake('warehouse', 'titles') }}

),

renamed as (

    select
        -- keys
        title_id,

        -- what
        title_name,
        kind as title_kind,
        genre,
        release_year,
        runtime_seconds

    from source

)

select * from renamed
