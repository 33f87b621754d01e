{# A run's working set: a local table, gone with the process, never in the lake. #}
{% materialization batch, adapter='duckdb' %}
    {% set target = this.incorporate(type='table') %}
    {% call statement('schema', auto_begin=False) %}create schema if not exists {{ target.include(identifier=false) }}{% endcall %}
    {% call statement('main', auto_begin=False) %}create or replace table {{ target }} as ({{ sql }}){% endcall %}
    {% call statement('bounds', auto_begin=False) %}
        create or replace table {{ api.Relation.create(database=this.database, schema=this.schema, identifier='bounds') }} as
        select log_topic, log_partition, max(log_offset) + 1 as next_offset from {{ target }} group by all
    {% endcall %}
    {% do adapter.commit() %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
