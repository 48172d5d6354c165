-- Grain: one row per title (title_id).
select
    title_id,
    title_name,
    title_kind,
    genre,
    release_year,
    runtime_seconds
from {{ ref('stg_warehouse__title') }}
