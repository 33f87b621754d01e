{# Values take a hundred times the memory of the two bytes they may come in. Counted by commas, without a look at the structure. #}
{% macro has_too_many_values(payload) -%}
    {{ bytes_of(payload) }} - {{ bytes_of("replace(" ~ payload ~ ", ',', '')") }} > {{ var('max_payload_values') }}
{%- endmacro %}

{# Whether a text is JSON. #}
{% macro is_json(text) -%}{{ adapter.dispatch('is_json')(text) }}{%- endmacro %}
{% macro duckdb__is_json(text) -%}json_valid({{ text }}){%- endmacro %}
