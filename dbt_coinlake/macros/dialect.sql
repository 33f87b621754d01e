{#
    The models are written once for both engines. SQL that differs between DuckDB and Spark is in macros, here or in the
    file of its subject, named by their meaning. DuckDB's version follows each macro; Spark's version is in the file of
    the same name in spark/.
#}

{# The number of bytes of a text, not of its characters. #}
{% macro bytes_of(text) -%}{{ adapter.dispatch('bytes_of')(text) }}{%- endmacro %}
{% macro duckdb__bytes_of(text) -%}strlen({{ text }}){%- endmacro %}

{# The first character of a JSON text that is not white space. #}
{% macro first_character(json) -%}{{ adapter.dispatch('first_character')(json) }}{%- endmacro %}
{% macro duckdb__first_character(json) -%}left(ltrim({{ json }}, e' \t\r\n'), 1){%- endmacro %}

{# Whether the whole text matches a pattern. Use only patterns that mean the same in both engines. #}
{% macro matches(text, pattern) -%}{{ adapter.dispatch('matches')(text, pattern) }}{%- endmacro %}
{% macro duckdb__matches(text, pattern) -%}regexp_full_match({{ text }}, '{{ pattern }}'){%- endmacro %}

{# All columns except these. #}
{% macro all_but(columns) -%}{{ adapter.dispatch('all_but')(columns) }}{%- endmacro %}
{% macro duckdb__all_but(columns) -%}* exclude ({{ columns }}){%- endmacro %}

{#
    Values that are compared in this order. Values that decide an order must not be null: the engines sort nulls
    differently.
#}
{% macro tuple_of(values) -%}{{ adapter.dispatch('tuple_of')(values) }}{%- endmacro %}
{% macro duckdb__tuple_of(values) -%}row({{ values }}){%- endmacro %}

{# The last or first value of a group that is not null, in the order of `position`. #}
{% macro last_by(value, position) -%}{{ adapter.dispatch('last_by')(value, position) }}{%- endmacro %}
{% macro duckdb__last_by(value, position) -%}arg_max({{ value }}, {{ position }}){%- endmacro %}

{% macro first_by(value, position) -%}{{ adapter.dispatch('first_by')(value, position) }}{%- endmacro %}
{% macro duckdb__first_by(value, position) -%}arg_min({{ value }}, {{ position }}){%- endmacro %}

{# The last value in a window that is not null. #}
{% macro last_known(value, window) -%}{{ adapter.dispatch('last_known')(value, window) }}{%- endmacro %}
{% macro duckdb__last_known(value, window) -%}last_value({{ value }} ignore nulls) over {{ window }}{%- endmacro %}

{# The number of values in a list; and the value at a position, from 1, or null if there is none. #}
{% macro count_in(list) -%}{{ adapter.dispatch('count_in')(list) }}{%- endmacro %}
{% macro duckdb__count_in(list) -%}len({{ list }}){%- endmacro %}

{% macro value_at(list, place) -%}{{ adapter.dispatch('value_at')(list, place) }}{%- endmacro %}
{% macro duckdb__value_at(list, place) -%}{{ list }}[{{ place }}]{%- endmacro %}

{# Follows `as` of a CTE that is read several times and must be computed once. Spark detects this without a keyword. #}
{% macro computed_once() -%}{{ adapter.dispatch('computed_once')() }}{%- endmacro %}
{% macro duckdb__computed_once() -%}materialized{{ ' ' }}{%- endmacro %}

{# The engine's name of a column type in YAML. #}
{% macro type_name(documented) %}{{ return(adapter.dispatch('type_name')(documented)) }}{% endmacro %}
{% macro duckdb__type_name(documented) %}{{ return(documented) }}{% endmacro %}
