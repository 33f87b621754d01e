{#
    A table's consumed offsets: a map from "<topic>/<partition>" to the next offset to read. It is a table property in
    bronze, silver and gold, and changes in the same commit as the rows: after a kill, each table resumes from its last
    commit.
#}
{% macro offsets_property() %}{{ return('coinlake.log-offsets') }}{% endmacro %}

{% macro offsets_of(relation) %}
    {% if not execute or relation is none or load_relation(relation) is none %}{{ return({}) }}{% endif %}
    {{ return(adapter.dispatch('offsets_in')(relation)) }}
{% endmacro %}

{# The consumed offsets of several tables, one map each; a run caches them for all of its models. #}
{% macro offsets_of_all(relations) %}
    {% do adapter.dispatch('load_offsets')(relations) %}
    {% set found = [] %}
    {% for relation in relations %}{% do found.append(offsets_of(relation)) %}{% endfor %}
    {{ return(found) }}
{% endmacro %}

{#
    All in one query, because dbt's overhead for a query exceeds DuckDB's time. A run queries each table once, since only its own commits
    change the offsets of silver and gold: a lake has one process that transforms. A test queries again, because a run may be under way.
#}
{% macro duckdb__load_offsets(relations) %}{% if is_building() %}{% do query_offsets(relations) %}{% endif %}{% endmacro %}

{% macro query_offsets(relations) %}
    {% set queries = [] %}
    {% for relation in relations if load_relation(relation) is not none %}
        {% do queries.append(
            "select '" ~ relation.render() ~ "', (select value from iceberg_table_properties(" ~ relation ~ ") where key = '" ~ offsets_property() ~ "')"
        ) %}
    {% endfor %}
    {% if queries %}
        {% for row in run_query(queries | join(' union all ')).rows %}
            {% do run_cache('offsets').update({row[0]: fromjson(row[1]) if row[1] else {}}) %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{% macro duckdb__offsets_in(relation) %}
    {% if not is_building() or relation.render() not in run_cache('offsets') %}{% do query_offsets([relation]) %}{% endif %}
    {{ return(run_cache('offsets')[relation.render()]) }}
{% endmacro %}

{# Stores the offsets that a commit has set. #}
{% macro cache_offsets(relation, offsets) %}{% do run_cache('offsets').update({relation.render(): offsets}) %}{% endmacro %}

{% macro is_building() %}{{ return(flags.WHICH in ['run', 'build', 'retry']) }}{% endmacro %}

{# A property of a table that exists; none if it is not set. #}
{% macro table_property(relation, key) %}{{ return(adapter.dispatch('table_property')(relation, key)) }}{% endmacro %}
{% macro duckdb__table_property(relation, key) %}
    {% set found = run_query("select value from iceberg_table_properties(" ~ relation ~ ") where key = '" ~ key ~ "'") %}
    {{ return(found.columns[0].values()[0] if found | length > 0 else none) }}
{% endmacro %}

{# The consumed offsets of a model; empty in a full refresh. #}
{% macro consumed(relation) %}
    {{ return({} if flags.FULL_REFRESH else offsets_of(relation)) }}
{% endmacro %}

{#
    The SQL condition "offsets of [from, to) in every partition". The offsets are literals, so that files are skipped by
    their bounds. A partition that `from` lacks starts at 0; a partition that `to` lacks has no rows.
#}
{% macro offsets_between(from, to) %}
    {% set ranges = [] %}
    {% for name, end in to.items() %}
        {% set topic, partition = name.rsplit('/', 1) %}
        {% set begin = from.get(name, 0) %}
        {% if end > begin %}
            {% do ranges.append(
                "(log_topic = '" ~ topic ~ "' and log_partition = " ~ partition
                ~ " and log_offset >= " ~ begin ~ " and log_offset < " ~ end ~ ")"
            ) %}
        {% endif %}
    {% endfor %}
    {{ return('(' ~ (ranges | join(' or ')) ~ ')' if ranges else 'false') }}
{% endmacro %}

{#
    The SQL condition for records that bronze has lost and whose loss a person has acknowledged (`repair
    --accept-loss`).
#}
{% macro is_lost(bronze) %}
    {% if not execute or load_relation(bronze) is none %}{{ return('false') }}{% endif %}
    {% set lost = fromjson(table_property(bronze, 'coinlake.lost-offsets') or '{}') %}
    {% set ranges = [] %}
    {% for name, gaps in lost.items() %}
        {% for gap in gaps %}{% do ranges.append(offsets_between({name: gap[0]}, {name: gap[1]})) %}{% endfor %}
    {% endfor %}
    {{ return('(' ~ (ranges | join(' or ')) ~ ')' if ranges else 'false') }}
{% endmacro %}

{# The offsets after the batch [begin, end). Partitions without records in the batch keep their offsets. #}
{% macro advance_offsets(begin, end) %}
    {% set offsets = dict(begin) %}
    {% for name, offset in end.items() %}{% do offsets.update({name: [offset, begin.get(name, 0)] | max}) %}{% endfor %}
    {{ return(offsets) }}
{% endmacro %}

{# The SQL condition for records of the batch that this model has not consumed yet. #}
{% macro is_new_to_this_model() %}
    {% if is_live() %}{{ return('coinlake_is_new(log_topic, log_partition, log_offset)') }}{% endif %}
    {% if not execute %}{{ return('true') }}{% endif %}
    {{ return(offsets_between(consumed(this), batch_end())) }}
{% endmacro %}

{#
    The SQL condition for records that this model's table has consumed. Silver may have consumed more than this model
    and the batch.
#}
{% macro is_in_this_model() %}
    {% if is_live() or not execute %}{{ return('not ' ~ is_new_to_this_model()) }}{% endif %}
    {{ return(offsets_between({}, consumed(this))) }}
{% endmacro %}

{#
    The SQL condition for records that all of the tables have consumed, for tests that compare tables while a run may be
    under way.
#}
{% macro consumed_by_all(tables) %}
    {% if not execute %}{{ return('true') }}{% endif %}
    {{ return(offsets_between({}, min_offsets(offsets_of_all(tables)))) }}
{% endmacro %}
