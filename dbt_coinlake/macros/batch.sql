{#
    A table of a later layer takes the changed keys from the batch and all other values from earlier layers. One run
    therefore builds all tables of both layers, all of silver, or all of gold, each with a separate batch. Any other
    selection would permanently omit rows, so it fails.
#}
{% macro assert_complete_selection() %}
    {% set layers = selected_layers() %}
    {% for node in models_of_the_log() if node.unique_id not in selected_resources and (node.is_batch or node.schema in layers) %}
        {% do exceptions.raise_compiler_error(
            'This run leaves out ' ~ node.name ~ ', and all tables are built together. Run it without --select, --exclude or retry: '
            ~ 'each table continues after its last commit.'
        ) %}
    {% endfor %}
{% endmacro %}

{#
    The batch model and the models that consume the log. dbt builds a dictionary of a node on each access to its graph,
    in about a millisecond, and most nodes are tests. A run therefore reads the graph once, and only its models.
#}
{% macro models_of_the_log() %}
    {% set known = run_cache('models') %}
    {% if 'all' not in known %}
        {% set models = [] %}
        {% for id in graph.nodes if id.startswith('model.') %}
            {% set node = graph.nodes[id] %}
            {% set is_batch = node.config.materialized == 'batch' %}
            {% if is_batch or 'log' in node.tags %}
                {% do models.append({
                    'unique_id': id, 'name': node.name, 'database': node.database, 'schema': node.schema, 'alias': node.alias, 'is_batch': is_batch
                }) %}
            {% endif %}
        {% endfor %}
        {% do known.update({'all': models}) %}
    {% endif %}
    {{ return(known['all']) }}
{% endmacro %}

{# The layers whose tables this run builds. #}
{% macro selected_layers() %}
    {% set layers = [] %}
    {% for node in models_of_the_log() if not node.is_batch and node.unique_id in selected_resources and node.schema not in layers %}
        {% do layers.append(node.schema) %}
    {% endfor %}
    {{ return(layers or ['silver', 'gold']) }}
{% endmacro %}

{# The consumed offsets of the layers' tables, one map each. #}
{% macro offsets_of_layers(layers) %}
    {% set tables = [] %}
    {% for node in models_of_the_log() if not node.is_batch and node.schema in layers %}
        {% do tables.append(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) %}
    {% endfor %}
    {{ return(offsets_of_all(tables)) }}
{% endmacro %}

{# The offsets that all of the consumers have consumed. #}
{% macro min_offsets(consumers) %}
    {% set least = {} %}
    {% for offsets in consumers %}
        {% for name in (offsets if loop.first else least) | list %}
            {% do least.update({name: [offsets.get(name, 0), least.get(name, offsets.get(name, 0))] | min}) %}
        {% endfor %}
    {% endfor %}
    {{ return(least) }}
{% endmacro %}

{#
    The SQL condition for the batch of a run: the records from the lowest offset that one of its tables has consumed to
    the end of bronze, at most `max_records_per_run`. In a run of gold alone it ends at the offsets of silver. The
    staging model parses the batch once into a local table that every model reads.
#}
{% macro batch_condition(bronze) %}
    {% if is_live() %}{{ return('true') }}{% endif %}
    {% if not execute %}{{ return('true') }}{% endif %}
    {% set layers = selected_layers() %}
    {% set consumers = [{}] if flags.FULL_REFRESH else offsets_of_layers(layers) %}
    {% set from = {} %}
    {% set heads = offsets_of(bronze) if 'silver' in layers else min_offsets(offsets_of_layers(['silver'])) %}
    {% for name in heads %}
        {% set offsets = [] %}
        {% for consumer in consumers %}{% do offsets.append(consumer.get(name, 0)) %}{% endfor %}
        {% do from.update({name: offsets | min}) %}
    {% endfor %}
    {% if flags.FULL_REFRESH %}{{ return(offsets_between(from, heads)) }}{% endif %}
    {% set limits = batch_limits(bronze, from) %}
    {% set to = {} %}
    {# Tables that have consumed more than this do not change. #}
    {% for name, head in heads.items() %}{% do to.update({name: [head, limits[name]] | min}) %}{% endfor %}
    {{ return(offsets_between(from, to)) }}
{% endmacro %}

{#
    The offset up to which one run may read each partition. It is limited by the number of records, by the bytes of
    payload, and by the bytes of payload in 2,048 records, which DuckDB reads at once. The batch ends before the first
    record that exceeds a limit, but has at least one record.
#}
{% macro batch_limits(bronze, begins) %}
    {% set limits = {} %}
    {# One select per partition: files are skipped by their bounds only if the condition is a single range. #}
    {% set queries = [] %}
    {% for name, begin in begins.items() %}
        {% set limit = begin + (var('max_records_per_run') | int) %}
        {% do limits.update({name: limit}) %}
        {% do queries.append(
            "select '" ~ name ~ "', coalesce(
                min(log_offset) filter (where nth > 1 and (
                    total_bytes > " ~ var('max_payload_bytes_per_run') ~ " or bytes_at_once > " ~ var('max_payload_bytes_at_once') ~ "
                )),
                max(log_offset) + 1
            ) from (
                select
                    log_offset,
                    row_number() over offsets as nth,
                    sum(payload_size_bytes) over offsets as total_bytes,
                    sum(payload_size_bytes) over (order by log_offset rows 2047 preceding) as bytes_at_once
                from " ~ bronze ~ " where " ~ offsets_between({name: begin}, {name: limit}) ~ "
                window offsets as (order by log_offset)
            )"
        ) %}
    {% endfor %}
    {% if not queries %}{{ return(limits) }}{% endif %}
    {% for row in run_query(queries | join(' union all ')).rows if row[1] is not none %}{% do limits.update({row[0]: row[1] | int}) %}{% endfor %}
    {{ return(limits) }}
{% endmacro %}

{# Only commands that build or test tables have a batch; parse, compile and docs have none. #}
{% macro is_running() %}{{ return(execute and flags.WHICH in ['run', 'build', 'test', 'retry']) }}{% endmacro %}

{#
    The rows of a query on the batch. A run sends each query once: its batch does not change, and even the smallest
    query takes Spark a third of a second.
#}
{% macro query_batch(sql) %}
    {% set answers = run_cache('batch') %}
    {% if sql not in answers %}{% do answers.update({sql: run_query(sql).rows}) %}{% endif %}
    {{ return(answers[sql]) }}
{% endmacro %}

{# The end offsets of the current batch, from the batch materialization (each record has at least one row). #}
{% macro batch_end() %}
    {% if not is_running() %}{{ return({}) }}{% endif %}
    {% if flags.WHICH in ['run', 'build'] %}{% do assert_complete_selection() %}{% endif %}
    {% set to = {} %}
    {% for row in query_batch("select log_topic || '/' || log_partition, next_offset from " ~ batch_bounds()) %}{% do to.update({row[0]: row[1] | int}) %}{% endfor %}
    {{ return(to) }}
{% endmacro %}

{# The table in which the batch materialization stores the end offset of each topic and partition. #}
{% macro batch_bounds() %}{{ return(adapter.dispatch('batch_bounds')()) }}{% endmacro %}
{% macro duckdb__batch_bounds() %}{{ return('memory.batch.bounds') }}{% endmacro %}

{#
    The first and the last event time of the batch's valid elements that meet a condition, as SQL. They are literals, so
    that files are skipped by their bounds; null literals if there are no such elements, so that no file is read.
#}
{% macro batch_span(elements, is_new) %}
    {% set time = var('event_time') %}
    {% set events = " from " ~ elements ~ " where reason is null and " ~ is_new %}
    {% if is_live() %}{{ return({'first': '(select min(' ~ time ~ ')' ~ events ~ ')', 'last': '(select max(' ~ time ~ ')' ~ events ~ ')'}) }}{% endif %}
    {% if not is_running() %}{{ return({'first': time_literal(none), 'last': time_literal(none)}) }}{% endif %}
    {% set found = query_batch("select min(" ~ time ~ ")::string, max(" ~ time ~ ")::string" ~ events)[0] %}
    {{ return({'first': time_literal(found[0]), 'last': time_literal(found[1])}) }}
{% endmacro %}

{# The dates of the batch's events as literals, separated by commas, so that partitions are skipped. #}
{% macro batch_dates(elements, days_before=0, days_after=0, date=none) %}
    {% set date = date or var('event_date') %}
    {% if is_live() %}
        {{ return(
            "select " ~ date ~ " + days.day::integer from " ~ elements ~ ", range(" ~ (-days_before) ~ ", " ~ (days_after + 1)
            ~ ") as days(day) where reason is null and " ~ is_new_to_this_model()
        ) }}
    {% endif %}
    {% if not is_running() %}{{ return(date_literals([])) }}{% endif %}
    {% set days = [] %}
    {% for row in query_batch("select distinct " ~ date ~ " from " ~ elements ~ " where reason is null") %}
        {% set day = modules.datetime.date.fromisoformat((row[0] | string)[:10]) %}
        {% for distance in range(-days_before, days_after + 1) %}{% do days.append(day + modules.datetime.timedelta(days=distance)) %}{% endfor %}
    {% endfor %}
    {{ return(date_literals(days)) }}
{% endmacro %}

{# The dates on which the batch was ingested, as literals in the same form. #}
{% macro batch_listing_dates(elements) %}
    {% if is_live() %}{{ return("select cast(ingested_at as date) from " ~ elements ~ " where " ~ is_new_to_this_model()) }}{% endif %}
    {% if not is_running() %}{{ return(date_literals([])) }}{% endif %}
    {% set days = [] %}
    {% for row in query_batch("select distinct cast(ingested_at as date) from " ~ elements) %}{% do days.append((row[0] | string)[:10]) %}{% endfor %}
    {{ return(date_literals(days)) }}
{% endmacro %}

{# Date literals, separated by commas. If there are no days, a date that no event has. #}
{% macro date_literals(days) %}
    {% set literals = [] %}
    {% for day in days | unique | sort %}{% do literals.append("date '" ~ day ~ "'") %}{% endfor %}
    {{ return(literals | join(', ') if literals else "date '1970-01-01'") }}
{% endmacro %}
