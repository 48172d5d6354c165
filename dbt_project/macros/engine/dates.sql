{#- Date arithmetic in whole days, and a spine. Dates in, dates out: the engines' own operators drift to timestamps or
    intervals. -#}
{%- macro add_days(date, days) -%}
    {{- adapter.dispatch('add_days', 'liftoff')(date, days) -}}
{%- endmacro -%}

{%- macro duckdb__add_days(date, days) -%}
    ({{ date }} + cast({{ days }} as integer))
{%- endmacro -%}


{%- macro days_between(first_date, last_date) -%}
    {{- adapter.dispatch('days_between', 'liftoff')(first_date, last_date) -}}
{%- endmacro -%}

{%- macro duckdb__days_between(first_date, last_date) -%}
    date_diff('day', {{ first_date }}, {{ last_date }})
{%- endmacro -%}


{#- A relation with one column, n: the integers from first to last, both included. -#}
{%- macro integers(first, last) -%}
    {{- adapter.dispatch('integers', 'liftoff')(first, last) -}}
{%- endmacro -%}

{%- macro duckdb__integers(first, last) -%}
    (select range as n from range({{ first }}, {{ last }} + 1))
{%- endmacro -%}


{#- Seconds with their fraction. -#}
{%- macro seconds_between(first_timestamp, last_timestamp) -%}
    {{- adapter.dispatch('seconds_between', 'liftoff')(first_timestamp, last_timestamp) -}}
{%- endmacro -%}

{%- macro duckdb__seconds_between(first_timestamp, last_timestamp) -%}
    date_diff('microsecond', {{ first_timestamp }}, {{ last_timestamp }}) / 1000000
{%- endmacro -%}
