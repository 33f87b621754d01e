{#
    Spark's statements change rows or properties, not both in one commit. So the place in the log goes into the summary of the snapshot
    that brings the rows, and into the table's property right after; a reader takes the greater of the two, partition by
    partition. A run that was killed in between has lost nothing. Snapshots may expire, and compaction's have no place: then the
    property says it.

    Looking it up takes Spark a good part of a second, so a run looks once at each table, and at the summaries of several in one question.
    Only its own commits move silver and gold on; of bronze it takes what is there when it begins.
#}
{% macro spark__offsets_in(relation) %}
    {% if relation.render() not in known_to_this_run('places') %}{% do spark__look_up_offsets([relation]) %}{% endif %}
    {{ return(known_to_this_run('places')[relation.render()]) }}
{% endmacro %}

{% macro spark__look_up_offsets(relations) %}
    {% set places = {} %}
    {% set snapshots = {} %}
    {% for relation in relations if relation.render() not in known_to_this_run('places') and load_relation(relation) is not none %}
        {% set properties = table_properties(relation) %}
        {% set place = fromjson(properties.get(offsets_property(), '{}')) %}
        {% if relation.render() == bronze_of_this_project() %}
            {% do remember_offsets(relation, found_in_rows(relation, place)) %}
        {% else %}
            {% do places.update({relation: place}) %}
            {% do snapshots.update({relation: properties.get('current-snapshot-id', 'none')}) %}
        {% endif %}
    {% endfor %}
    {% set summaries = current_summaries(snapshots) %}
    {% for relation, place in places.items() %}
        {% set summary = summaries.get(relation.render()) %}
        {% set offsets_named = {} if snapshots[relation] == 'none' else fromjson(summary) if summary else newest_summary(relation) %}
        {% do remember_offsets(relation, advanced(place, offsets_named)) %}
    {% endfor %}
{% endmacro %}

{# What the current snapshots say of their places, by table; those that say nothing are left out. #}
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

{# Of the snapshots that led to the current table, the last that says a place: others may have come after it, as compaction's. #}
{% macro newest_summary(relation) %}
    {% set found = run_query(
        "select summary['" ~ offsets_property() ~ "'] as place
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
{% macro found_in_rows(bronze, place) %}
    {% set passed = [] %}
    {% for name, next in place.items() %}
        {% set topic, partition = name.rsplit('/', 1) %}
        {% do passed.append("(log_topic = '" ~ topic ~ "' and log_partition = " ~ partition ~ " and log_offset < " ~ next ~ ")") %}
    {% endfor %}
    {% set found = run_query(
        "select log_topic || '/' || log_partition, max(log_offset) + 1 from " ~ bronze
        ~ (" where not (" ~ (passed | join(' or ')) ~ ")" if passed else "") ~ " group by log_topic, log_partition"
    ) %}
    {% set here = {} %}
    {% for row in found.rows %}{% do here.update({row[0]: row[1] | int}) %}{% endfor %}
    {% if here and flags.WHICH in ['run', 'build', 'retry'] %}{% do set_table_property(bronze, offsets_property(), tojson(advanced(place, here), sort_keys=true)) %}{% endif %}
    {{ return(advanced(place, here)) }}
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
