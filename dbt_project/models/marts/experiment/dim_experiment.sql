-- Grain: one row per experiment (experiment_id).
select
    experiment_id,
    experiment_name,
    goal_metric,
    started_at,
    ended_at,
    treatment_share
from {{ ref('stg_warehouse__experiment') }}
