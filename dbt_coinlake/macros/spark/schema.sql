{# Nothing to make: Spark has it, and keeps it out of the lake. #}
{% macro spark__create_schema(relation) %}
    {% if relation.schema != 'global_temp' %}
        {% call statement('create_schema') %}create schema if not exists {{ relation.without_identifier() }}{% endcall %}
    {% endif %}
{% endmacro %}

{# dbt-spark asks each table for its description, which takes Spark seconds; the lake's are all Iceberg tables. #}
{% macro spark__list_relations_without_caching(relation) %}
    {% if relation.schema == 'global_temp' %}{{ return([]) }}{% endif %}
    {% set rows = [] %}
    {% for row in run_query('show tables in ' ~ relation.schema).rows if not row[2] %}{% do rows.append([row[0], row[1], row[2], 'Provider: iceberg']) %}{% endfor %}
    {{ return(rows) }}
{% endmacro %}
