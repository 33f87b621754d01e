{% macro spark__bytes_of(text) -%}octet_length({{ text }}){%- endmacro %}

{% macro spark__first_character(json) -%}left(ltrim(' \t\r\n', {{ json }}), 1){%- endmacro %}

{% macro spark__matches(text, pattern) -%}rlike({{ text }}, r'\A(?:{{ pattern }})\z'){%- endmacro %}

{% macro spark__all_but(columns) -%}* except ({{ columns }}){%- endmacro %}

{% macro spark__tuple_of(values) -%}struct({{ values }}){%- endmacro %}

{% macro spark__last_by(value, position) -%}max_by({{ value }}, {{ position }}) filter (where {{ value }} is not null){%- endmacro %}

{% macro spark__first_by(value, position) -%}min_by({{ value }}, {{ position }}) filter (where {{ value }} is not null){%- endmacro %}

{% macro spark__last_known(value, window) -%}last_value({{ value }}) ignore nulls over {{ window }}{%- endmacro %}

{% macro spark__count_in(list) -%}array_size({{ list }}){%- endmacro %}

{% macro spark__value_at(list, place) -%}get({{ list }}, {{ place - 1 }}){%- endmacro %}

{% macro spark__computed_once() -%}{%- endmacro %}

{% macro spark__type_name(documented) %}
    {% set names = {'varchar': 'string', 'blob': 'binary', 'integer': 'int', 'timestamp with time zone': 'timestamp'} %}
    {{ return(names.get(documented | lower, documented | lower)) }}
{% endmacro %}
