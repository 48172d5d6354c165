-- Grain: one row per listed experiment, metric and variant that somebody saw (experiment_id, metric, variant_id).
-- The formulas and their sources are in docs/experiments.md.
{%- set z = z_of_95_percent() | float %}
{#- Each metric is a ratio of sums over users, y / x; per_unit of those make its unit. A mean counts each user. #}
{%- set metrics = [
    {'name': 'retention_day_7', 'y': 'case when is_retained_day_7 then 1 else 0 end', 'x': '1',
     'unit': 'share', 'per_unit': 1, 'direction': 1, 'is_guardrail': false},
    {'name': 'watch_hours', 'y': 'watched_seconds', 'x': '1',
     'unit': 'hours', 'per_unit': 3600, 'direction': 1, 'is_guardrail': false},
    {'name': 'crash_free_rate', 'y': 'crash_free_sessions', 'x': 'started_sessions',
     'unit': 'share', 'per_unit': 1, 'direction': 1, 'is_guardrail': true},
    {'name': 'time_to_ready', 'y': 'time_to_ready_seconds', 'x': 'ready_sessions',
     'unit': 'seconds', 'per_unit': 1, 'direction': -1, 'is_guardrail': true},
] %}
with

metrics as (
    {% for metric in metrics %}
        {% if not loop.first %}union all{% endif %}
        select
            '{{ metric.name }}' as metric,
            '{{ metric.unit }}' as unit,
            {{ metric.per_unit }} as per_unit,
            {{ metric.direction }} as direction,
            {{ metric.is_guardrail | lower }} as is_guardrail
    {% endfor %}
),

variants as (

    select
        exposures.experiment_id,
        exposures.variant_id,
        experiments.goal_metric,
        coalesce(cast(experiments.ended_at as date) <= {{ last_date() }}, false) as has_ended,
        cast(experiments.treatment_share as double) as treatment_share,
        count(*) as exposed_users,
        count(case when exposures.has_seen_others then 1 end) as mixed_users
    from {{ ref('fct_experiment_exposure') }} as exposures
    inner join {{ ref('dim_experiment') }} as experiments on exposures.experiment_id = experiments.experiment_id
    group by
        exposures.experiment_id,
        exposures.variant_id,
        experiments.goal_metric,
        experiments.ended_at,
        experiments.treatment_share

),

-- How far the split is from the planned one, in standard deviations.
split as (

    select
        experiment_id,
        abs(
            sum(case when variant_id = 'treatment' then exposed_users else 0 end)
            - sum(exposed_users) * max(treatment_share)
        )
        / nullif(sqrt(sum(exposed_users) * max(treatment_share) * (1 - max(treatment_share))), 0) as distance
    from variants
    group by experiment_id

),

split_tested as (

    select
        experiment_id,
        {{ two_sided_p_value('distance') }} as sample_ratio_p_value
    from split

),

split_judged as (

    select
        *,
        coalesce(sample_ratio_p_value < 0.001, false) as has_sample_ratio_mismatch
    from split_tested

),

measured as (
    {% for metric in metrics %}
        {% if not loop.first %}union all{% endif %}
        select
            experiment_id,
            variant_id,
            '{{ metric.name }}' as metric,
            cast({{ metric.y }} as decimal(18, 6)) as y,
            cast({{ metric.x }} as decimal(18, 6)) as x
        from {{ ref('mart_experiment_user') }}
        where is_measured
    {% endfor %}
),

-- Exact, so that neither their order nor the number of threads changes a digit. One of two factors is wider, because
-- DuckDB multiplies decimals of up to 18 digits in 64 bits, which overflow.
summed as (

    select
        experiment_id,
        variant_id,
        metric,
        count(*) as users,
        count(case when x > 0 then 1 end) as users_with_any,
        cast(sum(y) as double) as y,
        cast(sum(x) as double) as x,
        cast(sum(cast(y as decimal(19, 6)) * y) as double) as yy,
        cast(sum(cast(x as decimal(19, 6)) * y) as double) as xy,
        cast(sum(cast(x as decimal(19, 6)) * x) as double) as xx
    from measured
    group by experiment_id, variant_id, metric

),

with_residuals as (

    select
        *,
        yy - 2 * y / nullif(x, 0) * xy + power(y / nullif(x, 0), 2) * xx as squared_residuals
    from summed

),

-- The variance of a ratio by the delta method; where x is 1, it is that of a mean. A difference of large numbers that
-- are equal leaves 1e-16 of them: what is below 1e-12 is nothing.
estimated as (

    select
        experiment_id,
        variant_id,
        metric,
        users,
        users_with_any,
        least(y, x - y) as rarer_outcomes,
        y / nullif(x, 0) as mean,
        sqrt(
            users / nullif(users - 1, 0)
            * case when squared_residuals > 1e-12 * yy then squared_residuals else 0 end
        ) / nullif(x, 0) as standard_error
    from with_residuals

),

-- Means of so many are near enough to normal, and shares of which either outcome was seen so often.
enough as (

    select
        estimated.*,
        estimated.users_with_any >= 355 and (metrics.unit <> 'share' or estimated.rarer_outcomes >= 20) as is_enough
    from estimated
    inner join metrics on estimated.metric = metrics.metric

),

compared as (

    select
        treatments.experiment_id,
        treatments.variant_id,
        treatments.metric,
        treatments.is_enough and controls.is_enough as are_enough,
        treatments.mean - controls.mean as difference,
        treatments.mean / nullif(controls.mean, 0) - 1 as lift,
        abs(treatments.mean - controls.mean)
        / nullif(sqrt(power(treatments.standard_error, 2) + power(controls.standard_error, 2)), 0) as distance,
        -- The bounds are the roots q of a q^2 - 2 b q + c = 0. Without a > 0 the control's mean may be 0: no bounds.
        power(controls.mean, 2) - {{ z * z }} * power(controls.standard_error, 2) as a,
        controls.mean * treatments.mean as b,
        power(treatments.mean, 2) - {{ z * z }} * power(treatments.standard_error, 2) as c
    from enough as treatments
    inner join enough as controls
        on
            treatments.experiment_id = controls.experiment_id
            and treatments.metric = controls.metric
            and controls.variant_id = 'control'
    where treatments.variant_id <> 'control'

),

tested as (

    select
        experiment_id,
        variant_id,
        metric,
        are_enough,
        difference,
        lift,
        case when a > 0 then (b - sqrt(greatest(b * b - a * c, 0))) / nullif(a, 0) - 1 end as lift_low,
        case when a > 0 then (b + sqrt(greatest(b * b - a * c, 0))) / nullif(a, 0) - 1 end as lift_high,
        {{ two_sided_p_value('distance') }} as p_value
    from compared

)

select
    -- keys
    variants.experiment_id,
    metrics.metric,
    variants.variant_id,

    -- what it is
    case
        when metrics.metric = variants.goal_metric then 'goal'
        when metrics.is_guardrail then 'guardrail'
        else 'other'
    end as metric_role,
    metrics.unit,

    -- on whom
    variants.exposed_users,
    variants.mixed_users,
    coalesce(enough.users, 0) as users,
    coalesce(enough.is_enough, false) as has_enough_users,
    variants.has_ended,

    -- how much
    enough.mean / nullif(metrics.per_unit, 0) as mean,
    enough.standard_error / nullif(metrics.per_unit, 0) as standard_error,

    -- against the control
    tested.difference / nullif(metrics.per_unit, 0) as difference,
    tested.lift,
    tested.lift_low,
    tested.lift_high,
    tested.p_value,

    -- whether it can be trusted
    split_judged.sample_ratio_p_value,
    split_judged.has_sample_ratio_mismatch,
    case
        when variants.variant_id = 'control' then 'baseline'
        when split_judged.has_sample_ratio_mismatch then 'not to be trusted: sample ratio mismatch'
        when tested.p_value is null or not tested.are_enough then 'too few users yet'
        when tested.p_value >= 0.05 then 'no difference seen'
        when tested.difference * metrics.direction > 0 then 'better'
        else 'worse'
    end as verdict
from variants
cross join metrics
inner join split_judged on variants.experiment_id = split_judged.experiment_id
left join enough
    on
        variants.experiment_id = enough.experiment_id
        and variants.variant_id = enough.variant_id
        and metrics.metric = enough.metric
left join tested
    on
        variants.experiment_id = tested.experiment_id
        and variants.variant_id = tested.variant_id
        and metrics.metric = tested.metric
