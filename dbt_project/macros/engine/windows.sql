{#- The value of this row, or else of the next row of its partition that has one. -#}
{%- macro next_known(value, partition_by, order_by) -%}
    {{- adapter.dispatch('next_known', 'liftoff')(value, partition_by, order_by) -}}
{%- endmacro -%}

{%- macro duckdb__next_known(value, partition_by, order_by) -%}
    first_value({{ value }} ignore nulls) over (
        partition by {{ partition_by }}
        order by {{ order_by }}
        rows between current row and unbounded following
    )
{%- endmacro -%}
