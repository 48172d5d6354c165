{#- The 97.5% quantile of the standard normal distribution: 95% of it lie within so many standard deviations. -#}
{%- macro z_of_95_percent() -%}
    1.959963984540054
{%- endmacro -%}


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
    {%- set z = z_of_95_percent() | float -%}
    {%- set failures = trials ~ ' - ' ~ successes -%}
    (
        {{ successes }} + {{ z * z / 2 }}
        {{ sign }} {{ z }} * sqrt({{ successes }} * ({{ failures }}) / nullif({{ trials }}, 0) + {{ z * z / 4 }})
    ) / ({{ trials }} + {{ z * z }})
{%- endmacro -%}


{#- The probability that a normally distributed number is at least so many standard deviations (z, a column, 0 or more)
    away from its mean, on either side. Neither engine knows the error function, so both of its classic expansions are
    nested here: around 0 the series of G. Marsaglia, Evaluating the normal distribution, Journal of Statistical Software
    11 (2004), and for the tail Laplace's continued fraction (Abramowitz and Stegun, 26.2.14). Eleven digits are
    right, up to z = 38, where it becomes 0: a test compares. -#}
{%- macro two_sided_p_value(z) -%}
    {%- set twice_the_density -%} sqrt(2 / pi()) * exp(-{{ z }} * {{ z }} / 2) {%- endset -%}
    case
        when {{ z }} < 3 then 1 - {{ twice_the_density }} * {{ z }} * {{ _nested_series(z ~ ' * ' ~ z) }}
        else {{ twice_the_density }} / {{ _continued_fraction(z) }}
    end
{%- endmacro -%}

{%- macro _nested_series(square) -%}
    {%- for n in range(3, 73, 2) -%}(1 + {{ square }} / {{ n }} * {% endfor -%}
    1
    {%- for n in range(3, 73, 2) -%}){% endfor -%}
{%- endmacro -%}

{%- macro _continued_fraction(z) -%}
    {%- for n in range(1, 31) -%}({{ z }} + {{ n }} / {% endfor -%}
    {{ z }}
    {%- for n in range(1, 31) -%}){% endfor -%}
{%- endmacro -%}
