{#
    Unit tests take the types of their inputs from existing tables. In a process that has not run the models, the batch
    does not exist; `dbt test` therefore first creates an empty batch with the documented types.
#}
{% macro make_empty_batch() %}{{ adapter.dispatch('make_empty_batch')() }}{% endmacro %}
{% macro duckdb__make_empty_batch() %}
    {% if execute and flags.WHICH == 'test' %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'batch' %}
            {% set batch = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias, type='table') %}
            create schema if not exists {{ batch.include(identifier=false) }};
            create table if not exists {{ batch }} (
                {% for column in node.columns.values() %}{{ column.name }} {{ column.data_type }}{{ ',' if not loop.last }}{% endfor %}
            );
            {% do adapter.cache_added(batch) %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{# The batch of a run: a local table that exists until the process ends and is not stored in the lake. #}
{% materialization batch, adapter='duckdb' %}
    {% set target = this.incorporate(type='table') %}
    {% call statement('schema', auto_begin=False) %}create schema if not exists {{ target.include(identifier=false) }}{% endcall %}
    {% call statement('main', auto_begin=False) %}create or replace table {{ target }} as ({{ sql }}){% endcall %}
    {% do enforce_contract(columns_of(target, none).stage) %}
    {% call statement('bounds', auto_begin=False) %}
        create or replace table {{ api.Relation.create(database=this.database, schema=this.schema, identifier='bounds') }} as
        select log_topic, log_partition, max(log_offset) + 1 as next_offset from {{ target }} group by all
    {% endcall %}
    {% do adapter.commit() %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# Cleans up at the end of a run. #}
{% macro drop_batch() %}{{ adapter.dispatch('drop_batch')() }}{% endmacro %}
{% macro duckdb__drop_batch() %}{% endmacro %}
