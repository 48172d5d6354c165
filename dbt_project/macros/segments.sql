{#- The rows of a relation once for each of these kinds of segment, with segment_type and segment_value: group by both,
    and each kind adds up to the total. Expand what is already counted: rows of users would be repeated for each kind.
    Each kind needs its columns in the relation, as named here. -#}
{%- macro by_segment(relation, types) -%}
    {%- set values = {
        'total': "'all'",
        'platform': 'counted.platform',
        'acquisition_platform': 'counted.acquisition_platform',
        'country': 'counted.country_code',
        'region': 'country.region_name',
        'income_group': 'country.income_group',
        'app_version': 'counted.app_version',
        'release': "counted.platform || ' ' || counted.app_version",
        'plan': 'counted.plan_id',
        'first_day': 'counted.first_day',
    } -%}
    (
        select
            counted.*,
            kinds.segment_type,
            coalesce(
                case kinds.segment_type
                {%- for type in types %}
                    when '{{ type }}' then {{ values[type] }}
                {%- endfor %}
                end,
                'unknown'
            ) as segment_value
        from {{ relation }} as counted
        cross join (
        {%- for type in types %}
            {{ 'union all ' if not loop.first }}select '{{ type }}' as segment_type
        {%- endfor %}
        ) as kinds
        {%- if 'region' in types or 'income_group' in types %}
        left join {{ ref('dim_country') }} as country on counted.country_code = country.country_code
        {%- endif %}
    )
{%- endmacro -%}


{#- The segments that a relation has, and the total, also of an empty one. -#}
{%- macro segments_in(relation) -%}
    (
        select
            segment_type,
            segment_value
        from {{ relation }} as rows_with_segments

        union

        select
            'total' as segment_type,
            'all' as segment_value
    )
{%- endmacro -%}


{#- A relation with one column, window_days. -#}
{%- macro windows(days) -%}
    (
    {%- for window in days %}
        {{ 'union all ' if not loop.first }}select cast({{ window }} as bigint) as window_days
    {%- endfor %}
    )
{%- endmacro -%}
