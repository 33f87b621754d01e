{#
    The models are written once; what DuckDB and Spark say in other words is named here, or beside what it belongs to, by what it
    means. DuckDB's words follow each name; Spark's are in spark/, file by file.
#}

{# Bytes of a text, not its characters. #}
{% macro bytes_of(text) -%}{{ adapter.dispatch('bytes_of')(text) }}{%- endmacro %}
{% macro duckdb__bytes_of(text) -%}strlen({{ text }}){%- endmacro %}

{# The first character of a JSON text, white space passed over. #}
{% macro first_character(json) -%}{{ adapter.dispatch('first_character')(json) }}{%- endmacro %}
{% macro duckdb__first_character(json) -%}left(ltrim({{ json }}, e' \t\r\n'), 1){%- endmacro %}

{# Whether the whole text is of a pattern that both engines' regular expressions read alike. #}
{% macro matches(text, pattern) -%}{{ adapter.dispatch('matches')(text, pattern) }}{%- endmacro %}
{% macro duckdb__matches(text, pattern) -%}regexp_full_match({{ text }}, '{{ pattern }}'){%- endmacro %}

{# Every column but these. #}
{% macro all_but(columns) -%}{{ adapter.dispatch('all_but')(columns) }}{%- endmacro %}
{% macro duckdb__all_but(columns) -%}* exclude ({{ columns }}){%- endmacro %}

{# Values that are compared in their order, none of them null. #}
{% macro tuple_of(values) -%}{{ adapter.dispatch('tuple_of')(values) }}{%- endmacro %}
{% macro duckdb__tuple_of(values) -%}row({{ values }}){%- endmacro %}

{# Of a group's rows that have a value, that of the row which is last, or first, in an order. #}
{% macro last_by(value, position) -%}{{ adapter.dispatch('last_by')(value, position) }}{%- endmacro %}
{% macro duckdb__last_by(value, position) -%}arg_max({{ value }}, {{ position }}){%- endmacro %}

{% macro first_by(value, position) -%}{{ adapter.dispatch('first_by')(value, position) }}{%- endmacro %}
{% macro duckdb__first_by(value, position) -%}arg_min({{ value }}, {{ position }}){%- endmacro %}

{# The last value that is known, of those that a window reaches over. #}
{% macro last_known(value, window) -%}{{ adapter.dispatch('last_known')(value, window) }}{%- endmacro %}
{% macro duckdb__last_known(value, window) -%}last_value({{ value }} ignore nulls) over {{ window }}{%- endmacro %}

{# How many values a list has, and the one at a place, from 1; null where there is none. #}
{% macro count_in(list) -%}{{ adapter.dispatch('count_in')(list) }}{%- endmacro %}
{% macro duckdb__count_in(list) -%}len({{ list }}){%- endmacro %}

{% macro value_at(list, place) -%}{{ adapter.dispatch('value_at')(list, place) }}{%- endmacro %}
{% macro duckdb__value_at(list, place) -%}{{ list }}[{{ place }}]{%- endmacro %}

{# A CTE that is read several times is computed once: Spark finds out by itself. #}
{% macro computed_once() -%}{{ adapter.dispatch('computed_once')() }}{%- endmacro %}
{% macro duckdb__computed_once() -%}materialized{{ ' ' }}{%- endmacro %}

{# A column's type as YAML documents it, in the engine's own word. #}
{% macro type_name(documented) %}{{ return(adapter.dispatch('type_name')(documented)) }}{% endmacro %}
{% macro duckdb__type_name(documented) %}{{ return(documented) }}{% endmacro %}
