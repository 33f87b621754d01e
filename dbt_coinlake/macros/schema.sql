{# Schemas have the names of the layers, without a prefix for the target. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{- (custom_schema_name or target.schema) | trim -}}
{% endmacro %}

{#
    The schemas that exist, so that a run does not create them again. Replaces dbt-duckdb's macro, which looks for the
    database under its quoted name and finds none.
#}
{% macro duckdb__list_schemas(database) %}
    {{ return(run_query("select schema_name from system.information_schema.schemata where lower(catalog_name) = '" ~ (database | replace('"', '') | lower) ~ "'")) }}
{% endmacro %}
