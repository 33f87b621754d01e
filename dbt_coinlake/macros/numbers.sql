{#
    A price travels as text until it is a DECIMAL. JSON parsers read numbers as doubles, so the numbers of the named keys
    are put in quotes first. A key and its colon cannot occur inside a JSON string (its quotes would be escaped).
#}
{% macro quote_numbers(payload, keys) -%}{{ adapter.dispatch('quote_numbers')(payload, keys) }}{%- endmacro %}
{% macro duckdb__quote_numbers(payload, keys) -%}
    regexp_replace({{ payload }}, '("(?:{{ keys | join("|") }})"\s*:\s*)(-?[0-9][0-9.eE+-]*)', '\1"\2"', 'g')
{%- endmacro %}

{#
    Likewise the numbers that follow a number in quotes in an array, such as the time in ["30243.40","0.3450",1688669597.8277369].
    In valid JSON that is exact: quotes around nothing but digits are a string, and what is between commas after it is a value.
#}
{% macro quote_numbers_in_rows(payload) -%}{{ adapter.dispatch('quote_numbers_in_rows')(payload) }}{%- endmacro %}
{% macro duckdb__quote_numbers_in_rows(payload) -%}
    regexp_replace({{ payload }}, '("[0-9.eE+-]*"\s*,\s*)(-?[0-9][0-9.eE+-]*)(\s*,)', '\1"\2"\3', 'g')
{%- endmacro %}

{# The way back, for people to read; a number that came as text is shown as a number. #}
{% macro unquote_numbers(json, keys) -%}{{ adapter.dispatch('unquote_numbers')(json, keys) }}{%- endmacro %}
{% macro duckdb__unquote_numbers(json, keys) -%}
    regexp_replace({{ json }}, '("(?:{{ keys | join("|") }})"\s*:\s*)"(-?[0-9][0-9.eE+-]*)"', '\1\2', 'g')
{%- endmacro %}

{#
    The types of figures, each 38 digits wide, which is the most that both engines have. Prices are as small as 1e-20 dollars and at most
    max_price_usd; rolling volumes and market capitalisations pass 1e20; other figures keep eighteen places.
#}
{% macro price_type() %}{{ return('decimal(38, 24)') }}{% endmacro %}
{% macro amount_type() %}{{ return('decimal(38, 8)') }}{% endmacro %}
{% macro figure_type() %}{{ return('decimal(38, 18)') }}{% endmacro %}

{#
    Whether a text is a number of JSON's or everyday form: no infinity, no hexadecimal, no separators. Slower than a cast: for
    saying why one failed.
#}
{% macro is_number(text) -%}
    {{ matches(text, '\\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\\s*') }}
{%- endmacro %}

{#
    A DECIMAL from text, null where the text is no number or too large for one. DuckDB would take 1_000 for a number; we do not.
    Casting text to more than 18 digits costs it 2 µs a digit, to fewer a fiftieth of that for the whole: so a plain number goes
    through the narrow decimal that holds all its decimal places, if its whole part fits, and only what is left takes the long way.
    Few of them, and each text once: a batch of a few records costs what its expressions are many.
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

{# The name of a figure that its source gave and that is null here all the same; null where it was not given, or is held. #}
{% macro name_if_dropped(name, text, figure) -%}
    case when {{ text }} is not null and {{ figure }} is null then '{{ name }}' end
{%- endmacro %}

{# Whether the type's places cut off digits that a double still shows: of prices too small for the type. #}
{% macro is_rounded(text, price) -%}
    case when {{ price }} > 0 and {{ price }} < 0.001 then abs(try_cast({{ text }} as double) / cast({{ price }} as double) - 1) > 0.000000000001 end
{%- endmacro %}

{# A figure that cannot be is not known. #}
{% macro unless_below(least, figure) -%}
    case when {{ figure }} >= {{ least }} then {{ figure }} end
{%- endmacro %}

{# A product of decimals, null where it is too large for one: an absurd record must not stop the others. #}
{% macro product_of(left, right) -%}{{ adapter.dispatch('product_of')(left, right) }}{%- endmacro %}
{% macro duckdb__product_of(left, right) -%}
    try(({{ left }} * {{ right }})::decimal(38, 18))
{%- endmacro %}

{#
    What was traded in US dollars: an amount of units times a price. The price takes part with eighteen places, because the places of both
    factors add up and leave too few before the point; one below 1e-6 is made a million times as large for it. An amount so large that
    such a price may be worth a million dollars gives a millionth of itself in exchange (its places behind the second are left out, at
    most one part in 1e14); otherwise the product is divided.
#}
{% macro value_of(amount, price) -%}
    case
        when {{ price }} >= 0.000001 then {{ product_of(amount, "cast(" ~ price ~ " as decimal(38, 18))") }}
        when {{ amount }} >= 1000000000000 then {{ product_of("(" ~ cast_or_null(amount, 'decimal(30, 2)') ~ " * cast(0.000001 as decimal(6, 6)))", "cast(" ~ price ~ " * 1000000 as decimal(38, 18))") }}
        else {{ product_of(cast_or_null(product_of(amount, "cast(" ~ price ~ " * 1000000 as decimal(38, 18))"), 'decimal(30, 12)'), 'cast(0.000001 as decimal(6, 6))') }}
    end
{%- endmacro %}

{% macro cast_or_null(figure, type) -%}try_cast({{ figure }} as {{ type }}){%- endmacro %}

{# A computed figure as DECIMAL: fifteen significant digits, all that a double is sure of, so that engines agree on it. #}
{% macro significant(figure, type=none) -%}{{ adapter.dispatch('significant')(figure, type or figure_type()) }}{%- endmacro %}
{% macro duckdb__significant(figure, type) -%}
    {{ decimal_of("format('{:.15g}', " ~ figure ~ ")", type) }}
{%- endmacro %}

{# A price as a double, the same on both engines: through the eighteen places of which `double_of` is sure, a small price enlarged before. #}
{% macro double_of_price(price) -%}
    case
        when abs({{ price }}) < 0.001 then {{ double_of("cast(" ~ price ~ " * 1000000 as decimal(38, 18))") }} / cast(1000000 as double)
        else {{ double_of("cast(" ~ price ~ " as decimal(38, 18))") }}
    end
{%- endmacro %}

{# A DECIMAL(38, 18) as the nearest double, or the one beside it: bit for bit the same on both engines, as DuckDB makes it. #}
{% macro double_of(decimal) -%}{{ adapter.dispatch('double_of')(decimal) }}{%- endmacro %}
{% macro duckdb__double_of(decimal) -%}{{ decimal }}::double{%- endmacro %}

{# A whole number from text that may be written with places or an exponent, null where it is none. #}
{% macro integer_of(text) -%}{{ adapter.dispatch('integer_of')(text) }}{%- endmacro %}
{% macro duckdb__integer_of(text) -%}try_cast({{ text }} as integer){%- endmacro %}
