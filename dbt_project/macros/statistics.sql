{#- The bounds of Wilson's 95% interval for a share, which also holds for few trials and for shares near 0 and 1:
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927), 209-212.
    NULL without trials. -#}
{%- macro wilson_low(successes, trials) -%}
    case when {{ trials }} > 0 then greatest({{ _wilson_bound(successes, trials, '-') }}, 0) end
{%- endmacro -%}

{%- macro wilson_high(successes, trials) -%}
    case when {{ trials }} > 0 then least({{ _wilson_bound(successes, trials, '+') }}, 1) end
{%- endmacro -%}

{%- macro _wilson_bound(successes, trials, sign) -%}
    {%- set z = 1.959963984540054 -%} {#- the 97.5% quantile of the standard normal distribution -#}
    {%- set failures = trials ~ ' - ' ~ successes -%}
    (
        {{ successes }} + {{ z * z / 2 }}
        {{ sign }} {{ z }} * sqrt({{ successes }} * ({{ failures }}) / nullif({{ trials }}, 0) + {{ z * z / 4 }})
    ) / ({{ trials }} + {{ z * z }})
{%- endmacro -%}
