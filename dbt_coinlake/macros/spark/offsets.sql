{#
    Spark's statements change rows or properties, not both in one commit. So the consumed offsets go into the summary of the snapshot
    that brings the rows, and into the table's property right after; a reader takes the greater of the two, partition by
    partition. A run that was killed in between has lost nothing. Snapshots may expire, and compaction's have no offsets: then the
    property has them.

    Spark takes a good part of a second to load them, so a run loads them once a table, and the summaries of several tables in one query.
    Only its own commits change the offsets of silver and gold; of bronze it takes what is there when it begins.
#}
{% macro spark__offsets_in(relation) %}
    {% if relation.render() not in run_cache('offsets') %}{% do spark__load_offsets([relation]) %}{% endif %}
    {{ return(run_cache('offsets')[relation.render()]) }}
{% endmacro %}

{% macro spark__load_offsets(relations) %}
    {% set of_properties = {} %}
    {% set snapshots = {} %}
    {% for relation in relations if relation.render() not in run_cache('offsets') and load_relation(relation) is not none %}
        {% set properties = table_properties(relation) %}
        {% set offsets = fromjson(properties.get(offsets_property(), '{}')) %}
        {% if relation.render() == bronze_of_this_project() %}
            {% do cache_offsets(relation, offsets_in_rows(relation, offsets)) %}
        {% else %}
            {% do of_properties.update({relation: offsets}) %}
            {% do snapshots.update({relation: properties.get('current-snapshot-id', 'none')}) %}
        {% endif %}
    {% endfor %}
    {% set summaries = current_summaries(snapshots) %}
    {% for relation, offsets in of_properties.items() %}
        {% set summary = summaries.get(relation.render()) %}
        {% set of_snapshots = {} if snapshots[relation] == 'none' else fromjson(summary) if summary else newest_summary(relation) %}
        {% do cache_offsets(relation, advance_offsets(offsets, of_snapshots)) %}
    {% endfor %}
{% endmacro %}

{# The offsets in the summaries of the current snapshots, by table, where they have any. #}
{% macro current_summaries(snapshots) %}
    {% set queries = [] %}
    {% for relation, snapshot in snapshots.items() if snapshot != 'none' %}
        {% do queries.append(
            "select '" ~ relation.render() ~ "', summary['" ~ offsets_property() ~ "'] from " ~ relation ~ ".snapshots where snapshot_id = " ~ snapshot
        ) %}
    {% endfor %}
    {% set summaries = {} %}
    {% if queries %}
        {% for row in run_query(queries | join(' union all ')).rows if row[1] %}{% do summaries.update({row[0]: row[1]}) %}{% endfor %}
    {% endif %}
    {{ return(summaries) }}
{% endmacro %}

{# The offsets of the newest ancestor snapshot that has any: snapshots after it, such as compaction's, have none. #}
{% macro newest_summary(relation) %}
    {% set found = run_query(
        "select summary['" ~ offsets_property() ~ "'] as offsets
        from " ~ relation ~ ".snapshots
        where summary['" ~ offsets_property() ~ "'] is not null
            and snapshot_id in (select snapshot_id from " ~ relation ~ ".history where is_current_ancestor)
        order by committed_at desc limit 1"
    ) %}
    {{ return(fromjson(found.columns[0].values()[0]) if found | length > 0 else {}) }}
{% endmacro %}

{% macro bronze_of_this_project() %}
    {% for node in graph.sources.values() if node.source_name == 'bronze' %}
        {{ return(api.Relation.create(schema=node.schema, identifier=node.identifier).render()) }}
    {% endfor %}
{% endmacro %}

{#
    Spark's stream copies each partition of the log to bronze in its order, and does not say how far it has come: the rows do. Those below
    what was found before are passed over by their files' bounds.
#}
{% macro offsets_in_rows(bronze, known) %}
    {% set passed = [] %}
    {% for name, next in known.items() %}
        {% set topic, partition = name.rsplit('/', 1) %}
        {% do passed.append("(log_topic = '" ~ topic ~ "' and log_partition = " ~ partition ~ " and log_offset < " ~ next ~ ")") %}
    {% endfor %}
    {% set found = run_query(
        "select log_topic || '/' || log_partition, max(log_offset) + 1 from " ~ bronze
        ~ (" where not (" ~ (passed | join(' or ')) ~ ")" if passed else "") ~ " group by log_topic, log_partition"
    ) %}
    {% set here = {} %}
    {% for row in found.rows %}{% do here.update({row[0]: row[1] | int}) %}{% endfor %}
    {% if here and flags.WHICH in ['run', 'build', 'retry'] %}{% do set_table_property(bronze, offsets_property(), tojson(advance_offsets(known, here), sort_keys=true)) %}{% endif %}
    {{ return(advance_offsets(known, here)) }}
{% endmacro %}

{% macro spark__table_property(relation, key) %}{{ return(table_properties(relation).get(key)) }}{% endmacro %}

{# Those that are set, and what Iceberg tells like them. #}
{% macro table_properties(relation) %}
    {% set properties = {} %}
    {% for row in run_query("show tblproperties " ~ relation).rows %}{% do properties.update({row[0]: row[1]}) %}{% endfor %}
    {{ return(properties) }}
{% endmacro %}

{% macro set_table_property(relation, key, value) %}
    {% do run_query("alter table " ~ relation ~ " set tblproperties ('" ~ key ~ "' = '" ~ value ~ "')") %}
{% endmacro %}

{#
    What the next snapshots of this session say in their summaries. Set again before each statement that writes, and with one statement
    at a time (`threads: 1`), so that no table gets another's.
#}
{% macro set_summary(key, value) %}{% do run_query("set `spark.sql.iceberg.snapshot-property." ~ key ~ "`=`" ~ value ~ "`") %}{% endmacro %}
{% macro clear_summary(key) %}{% do run_query("reset `spark.sql.iceberg.snapshot-property." ~ key ~ "`") %}{% endmacro %}
