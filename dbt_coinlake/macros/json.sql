{#
    Whether a payload has too many values. A parsed value takes a hundred times the memory of its text, which may have
    only two bytes. Values are counted by commas, without parsing.
#}
{% macro has_too_many_values(payload) -%}
    {{ bytes_of(payload) }} - {{ bytes_of("replace(" ~ payload ~ ", ',', '')") }} > {{ var('max_payload_values') }}
{%- endmacro %}

{# Whether a text is JSON. #}
{% macro is_json(text) -%}{{ adapter.dispatch('is_json')(text) }}{%- endmacro %}
{% macro duckdb__is_json(text) -%}json_valid({{ text }}){%- endmacro %}

{# The elements of a JSON list, each as its JSON text; null if the text is not a list. #}
{% macro json_elements(text) -%}{{ adapter.dispatch('json_elements')(text) }}{%- endmacro %}
{% macro duckdb__json_elements(text) -%}try(json_extract({{ text }}, '$[*]')::varchar[]){%- endmacro %}

{# The named fields of a JSON object as a struct of texts; null if the text is not JSON. #}
{% macro json_fields(text, names) -%}{{ adapter.dispatch('json_fields')(text, names) }}{%- endmacro %}
{% macro duckdb__json_fields(text, names) -%}
    try(from_json({{ text }}, '{"{{ names | join('": "VARCHAR", "') }}": "VARCHAR"}'))
{%- endmacro %}

{#
    Records with one row for each element of a list: `element`, `element_index` and `element_count`. A record whose list
    is null or empty counts as one element, its whole text, so that every record is accepted, a duplicate or rejected.
#}
{% macro rows_of_list(records, list, text) -%}{{ adapter.dispatch('rows_of_list')(records, list, text) }}{%- endmacro %}
{% macro duckdb__rows_of_list(records, list, text) -%}
    select
        * exclude ({{ list }}, {{ text }}),
        unnest(case when len({{ list }}) > 0 then {{ list }} else [{{ text }}] end) as element,
        greatest(coalesce(len({{ list }}), 1), 1) as element_count,
        unnest(range(greatest(coalesce(len({{ list }}), 1), 1))) as element_index
    from {{ records }}
{%- endmacro %}
