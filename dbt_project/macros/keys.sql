{#- A surrogate key of two columns that are never null: one digest inside the other, so that no choice of values can make
    two pairs look alike. -#}
{%- macro key_of(first, second) -%}
    md5(md5({{ first }}) || {{ second }})
{%- endmacro -%}
