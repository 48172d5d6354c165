{#- Whether a date is one of a list of the build's vars: read_dates, restated_dates or gap_dates. -#}
{%- macro is_among(date, list_name) -%}
    {%- set dates = var(list_name) -%}
    {%- if dates -%}
        {{ date }} in (
        {%- for day in dates -%}
            date '{{ day }}'{{ ', ' if not loop.last }}
        {%- endfor -%}
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro -%}


{#- Pre-hook of an incremental fact. A delete by the keys of the new rows would leave a day whose rows all vanished. -#}
{%- macro delete_restated(date) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ is_among(date, 'restated_dates') }}
    {%- endif -%}
{%- endmacro -%}


{%- macro launch_date() -%}
    date '{{ var('launch_date') }}'
{%- endmacro -%}


{#- The last landed day. -#}
{%- macro last_date() -%}
    date '{{ var('last_date') }}'
{%- endmacro -%}


{#- The days of dim_date, each with is_gap and with landed_days: so many days on end have landed until it, itself
    included. A window of W days is full where these are W or more. -#}
{%- macro days_since_launch() -%}
    (
        select
            *,
            launch_day_number - max(case when is_gap then launch_day_number else -1 end) over (
                order by date_day
            ) as landed_days
        from (
            select
                *,
                {{ is_among('date_day', 'gap_dates') }} as is_gap
            from {{ ref('dim_date') }}
        ) as calendar
    )
{%- endmacro -%}
