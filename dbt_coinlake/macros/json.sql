{# Values take a hundred times the memory of the two bytes they may come in. Counted by commas, without a look at the structure. #}
{% macro has_too_many_values(payload) -%}
    {{ bytes_of(payload) }} - {{ bytes_of("replace(" ~ payload ~ ", ',', '')") }} > {{ var('max_payload_values') }}
{%- endmacro %}

{# Whether a text is JSON. #}
{% macro is_json(text) -%}{{ adapter.dispatch('is_json')(text) }}{%- endmacro %}
{% macro duckdb__is_json(text) -%}json_valid({{ text }}){%- endmacro %}

{# The elements of a JSON list, each as its JSON text; null where the text is no list. #}
{% macro json_elements(text) -%}{{ adapter.dispatch('json_elements')(text) }}{%- endmacro %}
{% macro duckdb__json_elements(text) -%}try(json_extract({{ text }}, '$[*]')::varchar[]){%- endmacro %}

{# The named fields of a JSON object as a struct of texts; null where the text is no JSON. #}
{% macro json_fields(text, names) -%}{{ adapter.dispatch('json_fields')(text, names) }}{%- endmacro %}
{% macro duckdb__json_fields(text, names) -%}
    try(from_json({{ text }}, '{"{{ names | join('": "VARCHAR", "') }}": "VARCHAR"}'))
{%- endmacro %}

{#
    Records with one row for each element of a list: `element`, `element_index` and `element_count`. A record whose list is null or empty
    counts as one element, its whole text, so that every record has a verdict.
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
