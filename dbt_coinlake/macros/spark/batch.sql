{% macro spark__batch_bounds() %}
    {% for node in models_of_the_log() if node.is_batch %}
        {{ return(
            '(select log_topic, log_partition, max(log_offset) + 1 as next_offset from ' ~ node.schema ~ '.' ~ node.alias
            ~ ' group by log_topic, log_partition)'
        ) }}
    {% endfor %}
{% endmacro %}

{# A run's working set: a view that Spark holds computed, of this server and never in the lake. The next run replaces it. #}
{% materialization batch, adapter='spark' %}
    {% set target = this.incorporate(type='view') %}
    {% call statement('main') %}create or replace global temporary view {{ this.identifier }} as {{ sql }}{% endcall %}
    {% call statement('compute') %}cache table {{ target }}{% endcall %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# Tests read no batch. #}
{% macro spark__make_empty_batch() %}{% endmacro %}

{# What a run leaves in the server's memory, when it has ended. #}
{% macro spark__drop_batch() %}
    {% if execute and flags.WHICH in ['run', 'build', 'retry'] %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'batch' %}
            drop view if exists {{ api.Relation.create(schema=node.schema, identifier=node.alias) }}
        {% endfor %}
    {% endif %}
{% endmacro %}
