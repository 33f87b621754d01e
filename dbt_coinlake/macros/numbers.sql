{#
    A price remains text until it is cast to a DECIMAL. JSON parsers read numbers as doubles, so the numbers of the
    named keys are quoted first. A key and its colon cannot occur inside a JSON string, because its quotes would be
    escaped.
#}
{% macro quote_numbers(payload, keys) -%}{{ adapter.dispatch('quote_numbers')(payload, keys) }}{%- endmacro %}
{% macro duckdb__quote_numbers(payload, keys) -%}
    regexp_replace({{ payload }}, '("(?:{{ keys | join("|") }})"\s*:\s*)(-?[0-9][0-9.eE+-]*)', '\1"\2"', 'g')
{%- endmacro %}

{#
    Quotes also the numbers that follow a quoted number in an array, such as the time in
    ["30243.40","0.3450",1688669597.8277369]. In valid JSON this is exact: quotes around digits alone are a string, and
    the text between the next commas is a value.
#}
{% macro quote_numbers_in_rows(payload) -%}{{ adapter.dispatch('quote_numbers_in_rows')(payload) }}{%- endmacro %}
{% macro duckdb__quote_numbers_in_rows(payload) -%}
    regexp_replace({{ payload }}, '("[0-9.eE+-]*"\s*,\s*)(-?[0-9][0-9.eE+-]*)(\s*,)', '\1"\2"\3', 'g')
{%- endmacro %}

{# The reverse of quote_numbers, for text that people read; a number that arrived as text becomes a number too. #}
{% macro unquote_numbers(json, keys) -%}{{ adapter.dispatch('unquote_numbers')(json, keys) }}{%- endmacro %}
{% macro duckdb__unquote_numbers(json, keys) -%}
    regexp_replace({{ json }}, '("(?:{{ keys | join("|") }})"\s*:\s*)"(-?[0-9][0-9.eE+-]*)"', '\1\2', 'g')
{%- endmacro %}

{#
    The types of figures, each with 38 digits, the maximum of both engines. Prices are as small as 1e-20 dollars and at
    most max_price_usd; rolling volumes and market capitalisations exceed 1e20; other figures have eighteen decimal
    places.
#}
{% macro price_type() %}{{ return('decimal(38, 24)') }}{% endmacro %}
{% macro amount_type() %}{{ return('decimal(38, 8)') }}{% endmacro %}
{% macro figure_type() %}{{ return('decimal(38, 18)') }}{% endmacro %}

{#
    Whether a text is a number in JSON or everyday notation: no infinity, no hexadecimal, no separators. Slower than a
    cast; use it to find out why a cast failed.
#}
{% macro is_number(text) -%}
    {{ matches(text, '\\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\\s*') }}
{%- endmacro %}

{#
    A DECIMAL from text; null if the text is not a number or is too large. DuckDB accepts 1_000 as a number; this macro
    does not. A cast of text to more than 18 digits takes DuckDB 2 µs per digit, a cast to at most 18 digits a fiftieth
    of that in total. A plain number is therefore cast through the narrow decimal that holds all its decimal places, if
    its integer part fits; only other numbers take the slow cast. The macro has few expressions and uses each text once,
    because the cost of a small batch depends on the number of expressions.
#}
{% macro decimal_of(text, type=none) -%}{{ adapter.dispatch('decimal_of')(text, type or figure_type()) }}{%- endmacro %}
{% macro duckdb__decimal_of(text, type) -%}
    case
        when contains({{ text }}, '_') then null
        when not contains({{ text }}, 'e') and not contains({{ text }}, 'E') then coalesce(
            case
                {% for places in [4, 10, 18] -%}
                when strlen(split_part({{ text }}, '.', 2)) <= {{ places }} then try_cast(try_cast({{ text }} as decimal(18, {{ places }})) as {{ type }})
                {% endfor %}
            end,
            try_cast({{ text }} as {{ type }})
        )
        else try_cast({{ text }} as {{ type }})
    end
{%- endmacro %}

{# The name of a figure that the source gave but that is null here; null if it was not given or is stored. #}
{% macro name_if_dropped(name, text, figure) -%}
    case when {{ text }} is not null and {{ figure }} is null then '{{ name }}' end
{%- endmacro %}

{# Whether the price type cuts off digits that a double still has, which happens only to very small prices. #}
{% macro is_rounded(text, price) -%}
    case when {{ price }} > 0 and {{ price }} < 0.001 then abs(try_cast({{ text }} as double) / cast({{ price }} as double) - 1) > 0.000000000001 end
{%- endmacro %}

{# The figure; null if it is below the smallest possible value. #}
{% macro unless_below(least, figure) -%}
    case when {{ figure }} >= {{ least }} then {{ figure }} end
{%- endmacro %}

{# A product of decimals; null if it is too large, so that an invalid record does not fail the run. #}
{% macro product_of(left, right) -%}{{ adapter.dispatch('product_of')(left, right) }}{%- endmacro %}
{% macro duckdb__product_of(left, right) -%}
    try(({{ left }} * {{ right }})::decimal(38, 18))
{%- endmacro %}

{#
    The value of a trade in US dollars: an amount of units times a price. The price is cast to eighteen decimal places,
    because the decimal places of both factors add up and would leave too few digits before the decimal point. A price
    below 1e-6 is multiplied by a million first. If the amount is so large that it may be worth a million dollars at
    such a price, the amount is divided by a million instead of the product, and its digits after the second decimal
    place are dropped (at most one part in 1e14). Otherwise the product is divided by a million.
#}
{% macro value_of(amount, price) -%}
    case
        when {{ price }} >= 0.000001 then {{ product_of(amount, "cast(" ~ price ~ " as decimal(38, 18))") }}
        when {{ amount }} >= 1000000000000 then {{ product_of("(" ~ cast_or_null(amount, 'decimal(30, 2)') ~ " * cast(0.000001 as decimal(6, 6)))", "cast(" ~ price ~ " * 1000000 as decimal(38, 18))") }}
        else {{ product_of(cast_or_null(product_of(amount, "cast(" ~ price ~ " * 1000000 as decimal(38, 18))"), 'decimal(30, 12)'), 'cast(0.000001 as decimal(6, 6))') }}
    end
{%- endmacro %}

{% macro cast_or_null(figure, type) -%}try_cast({{ figure }} as {{ type }}){%- endmacro %}

{#
    A computed figure as a DECIMAL with fifteen significant digits: all digits that a double is sure to hold, so that
    both engines give the same figure.
#}
{% macro significant(figure, type=none) -%}{{ adapter.dispatch('significant')(figure, type or figure_type()) }}{%- endmacro %}
{% macro duckdb__significant(figure, type) -%}
    {{ decimal_of("format('{:.15g}', " ~ figure ~ ")", type) }}
{%- endmacro %}

{#
    A price as a double, the same on both engines. `double_of` takes eighteen decimal places, so a small price is
    multiplied first.
#}
{% macro double_of_price(price) -%}
    case
        when abs({{ price }}) < 0.001 then {{ double_of("cast(" ~ price ~ " * 1000000 as decimal(38, 18))") }} / cast(1000000 as double)
        else {{ double_of("cast(" ~ price ~ " as decimal(38, 18))") }}
    end
{%- endmacro %}

{# A DECIMAL(38, 18) as the nearest double or one next to it: bit for bit as DuckDB computes it, on both engines. #}
{% macro double_of(decimal) -%}{{ adapter.dispatch('double_of')(decimal) }}{%- endmacro %}
{% macro duckdb__double_of(decimal) -%}{{ decimal }}::double{%- endmacro %}

{# A whole number from text, which may have decimal places or an exponent; null if it is not a whole number. #}
{% macro integer_of(text) -%}{{ adapter.dispatch('integer_of')(text) }}{%- endmacro %}
{% macro duckdb__integer_of(text) -%}try_cast({{ text }} as integer){%- endmacro %}
