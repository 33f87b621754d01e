{#
    A price travels as text until it is a DECIMAL. JSON parsers read numbers as doubles, so the numbers of the named keys
    are put in quotes first. A key and its colon cannot occur inside a JSON string (its quotes would be escaped).
#}
{% macro quote_numbers(payload, keys) -%}
    regexp_replace({{ payload }}, '("(?:{{ keys | join("|") }})"\s*:\s*)(-?[0-9][0-9.eE+-]*)', '\1"\2"', 'g')
{%- endmacro %}

{# Whether a text is a number of JSON's or everyday form: no infinity, no hexadecimal, no separators. #}
{% macro is_number(text) -%}
    regexp_full_match({{ text }}, '\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\s*')
{%- endmacro %}

{# A DECIMAL from text, null where the text is no number. #}
{% macro decimal_of(text, type='decimal(38, 18)') -%}
    case when {{ is_number(text) }} then try_cast(trim({{ text }}) as {{ type }}) end
{%- endmacro %}

{# A figure that cannot be is not known. #}
{% macro unless_below(least, figure) -%}
    case when {{ figure }} >= {{ least }} then {{ figure }} end
{%- endmacro %}

{# A product of decimals, null where it is too large for one: an absurd record must not stop the others. #}
{% macro product_of(left, right) -%}
    try(({{ left }} * {{ right }})::decimal(38, 18))
{%- endmacro %}

{# A computed figure as DECIMAL: fifteen significant digits, all that a double is sure of, so that engines agree on it. #}
{% macro significant(figure) -%}
    try_cast(format('{:.15g}', {{ figure }}) as decimal(38, 18))
{%- endmacro %}
