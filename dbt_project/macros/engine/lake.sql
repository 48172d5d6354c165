{#- The accepted landings of a source table that this build reads, as a relation with the columns that the source
    declares: a landing older than a column has it as null, and no landing at all is an empty relation. -#}
{%- macro lake(source_name, table_name) -%}
    {%- set files = var('landing_files').get(source_name ~ '.' ~ table_name, []) -%}
    {{- adapter.dispatch('read_landings', 'liftoff')(files, declared_columns(source(source_name, table_name))) -}}
{%- endmacro -%}


{%- macro duckdb__read_landings(files, columns) -%}
    (
        select
        {%- for column in columns %}
            cast(null as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
        where false
        {%- if files %}
        union all by name
        select * from read_parquet(
            [{% for file in files %}'{{ file | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}],
            union_by_name = true
        )
        {%- endif %}
    )
{%- endmacro -%}


{%- macro declared_columns(relation) -%}
    {%- for node in graph.get('sources', {}).values() if node.relation_name == relation | string -%}
        {%- do return(node.columns.values() | list) -%}
    {%- endfor -%}
    {%- do return([]) -%}
{%- endmacro -%}
