{#- An integer of 64 bits with bit n set, n from 0 to 62: one more would be its sign. -#}
{%- macro one_bit(n) -%}
    {{- adapter.dispatch('one_bit', 'liftoff')(n) -}}
{%- endmacro -%}

{%- macro duckdb__one_bit(n) -%}
    (cast(1 as bigint) << cast({{ n }} as integer))
{%- endmacro -%}


{#- Bits n to n + count - 1 of an integer, as an integer. -#}
{%- macro bits_from(value, n, count) -%}
    {{- adapter.dispatch('bits_from', 'liftoff')(value, n, count) -}}
{%- endmacro -%}

{%- macro duckdb__bits_from(value, n, count) -%}
    (({{ value }} >> cast({{ n }} as integer)) & {{ 2 ** count - 1 }})
{%- endmacro -%}
