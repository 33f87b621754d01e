{% macro spark__quote_numbers(payload, keys) -%}
    regexp_replace({{ payload }}, r'("(?:{{ keys | join("|") }})"\s*:\s*)(-?[0-9][0-9.eE+-]*)', '$1"$2"')
{%- endmacro %}

{% macro spark__quote_numbers_in_rows(payload) -%}
    regexp_replace({{ payload }}, r'("[0-9.eE+-]*"\s*,\s*)(-?[0-9][0-9.eE+-]*)(\s*,)', '$1"$2"$3')
{%- endmacro %}

{% macro spark__unquote_numbers(json, keys) -%}
    regexp_replace({{ json }}, r'("(?:{{ keys | join("|") }})"\s*:\s*)"(-?[0-9][0-9.eE+-]*)"', '$1$2')
{%- endmacro %}

{# Java would take digits of any script. #}
{% macro spark__decimal_of(text, type) -%}
    case when {{ is_number(text) }} then try_cast({{ text }} as {{ type }}) end
{%- endmacro %}

{% macro spark__product_of(left, right) -%}
    cast(try_multiply({{ left }}, {{ right }}) as decimal(38, 18))
{%- endmacro %}

{# Of Java's formatters this one rounds the double itself; the others round its shortest text. #}
{% macro spark__significant(figure, type) -%}
    try_cast(format_number({{ figure }}, '0.00000000000000E0') as {{ type }})
{%- endmacro %}

{#
    Of a DECIMAL(38, 18). DuckDB divides what fits a double's 53 bits directly; of the rest it adds the whole part and the places, each
    rounded by itself, negative places from their neighbour.
#}
{% macro spark__double_of(decimal) -%}
    case
        when abs({{ decimal }}) <= 0.009007199254740992 then cast({{ decimal }} as double)
        when {{ decimal }} > 0 then cast(floor({{ decimal }}) as double) + cast({{ digits_behind_the_point(decimal) }} as double) / 1e18D
        else (-cast({{ digits_behind_the_point(decimal) }} - 1 as double) - 1) / 1e18D - cast(floor(abs({{ decimal }})) as double)
    end
{%- endmacro %}

{# The digits behind the point, as a whole number. #}
{% macro digits_behind_the_point(decimal) -%}
    cast((abs({{ decimal }}) - floor(abs({{ decimal }}))) * 1000000000000000000 as bigint)
{%- endmacro %}

{% macro spark__integer_of(text) -%}
    try_cast(round({{ decimal_of(text) }}) as int)
{%- endmacro %}
