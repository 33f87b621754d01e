{#
    Tables of a later layer take what the batch says changed and read the rest from earlier layers, so one run builds all tables of both
    layers, or all of silver, or all of gold, each with a separate batch. Any other selection would omit rows for good, and is rejected.
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
    The batch and the models that follow the log. dbt makes a dictionary of a node each time that its graph is asked for it, in about a
    millisecond, and most of its nodes are tests: a run asks once, for models alone.
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

{# Layers of which this run builds a table. #}
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

{# The offsets that every one of them has consumed. #}
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
    The batch of a run: the records between what the slowest of its tables has consumed and what bronze holds (or
    `max_records_per_run` further on); a run of gold alone goes no further than silver. `stg_crypto__elements` parses it once into a local table that every model reads.
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
    {# Tables that have consumed more than that do not change. #}
    {% for name, head in heads.items() %}{% do to.update({name: [head, limits[name]] | min}) %}{% endfor %}
    {{ return(offsets_between(from, to)) }}
{% endmacro %}

{#
    The offset up to which one run may take each partition: so many records, so many bytes of payload, and so many bytes in what
    DuckDB reads at once, 2,048 records. It ends before the first record past any of these; that is never the batch's first.
#}
{% macro batch_limits(bronze, begins) %}
    {% set limits = {} %}
    {# One select a partition: a range alone is looked up by the files' bounds. #}
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

{# Only what builds or tests tables has a batch; parsing, compiling and drawing the docs have none. #}
{% macro is_running() %}{{ return(execute and flags.WHICH in ['run', 'build', 'test', 'retry']) }}{% endmacro %}

{#
    The rows that answer a question about the batch. A run asks each once: its batch stays unchanged to the end, and the least question
    takes Spark a third of a second and more.
#}
{% macro query_batch(sql) %}
    {% set answers = run_cache('batch') %}
    {% if sql not in answers %}{% do answers.update({sql: run_query(sql).rows}) %}{% endif %}
    {{ return(answers[sql]) }}
{% endmacro %}

{# The end of the current batch, as the batch materialization found it (each record gives at least one element). #}
{% macro batch_end() %}
    {% if not is_running() %}{{ return({}) }}{% endif %}
    {% if flags.WHICH in ['run', 'build'] %}{% do assert_complete_selection() %}{% endif %}
    {% set to = {} %}
    {% for row in query_batch("select log_topic || '/' || log_partition, next_offset from " ~ batch_bounds()) %}{% do to.update({row[0]: row[1] | int}) %}{% endfor %}
    {{ return(to) }}
{% endmacro %}

{# Where the batch materialization says how far the batch reaches, by topic and partition. #}
{% macro batch_bounds() %}{{ return(adapter.dispatch('batch_bounds')()) }}{% endmacro %}
{% macro duckdb__batch_bounds() %}{{ return('memory.batch.bounds') }}{% endmacro %}

{#
    First and last event time among the batch's prices that meet a condition, as SQL: literals, so that files are skipped by
    their bounds; null when there are none, so that nothing is read.
#}
{% macro batch_span(elements, is_new) %}
    {% set time = var('event_time') %}
    {% set events = " from " ~ elements ~ " where reason is null and " ~ is_new %}
    {% if is_live() %}{{ return({'first': '(select min(' ~ time ~ ')' ~ events ~ ')', 'last': '(select max(' ~ time ~ ')' ~ events ~ ')'}) }}{% endif %}
    {% if not is_running() %}{{ return({'first': time_literal(none), 'last': time_literal(none)}) }}{% endif %}
    {% set found = query_batch("select min(" ~ time ~ ")::string, max(" ~ time ~ ")::string" ~ events)[0] %}
    {{ return({'first': time_literal(found[0]), 'last': time_literal(found[1])}) }}
{% endmacro %}

{# Comma-separated date literals of the batch's events, for skipping partitions; a date that never is when there are none. #}
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

{# Likewise the dates on which the batch was ingested. #}
{% macro batch_listing_dates(elements) %}
    {% if is_live() %}{{ return("select cast(ingested_at as date) from " ~ elements ~ " where " ~ is_new_to_this_model()) }}{% endif %}
    {% if not is_running() %}{{ return(date_literals([])) }}{% endif %}
    {% set days = [] %}
    {% for row in query_batch("select distinct cast(ingested_at as date) from " ~ elements) %}{% do days.append((row[0] | string)[:10]) %}{% endfor %}
    {{ return(date_literals(days)) }}
{% endmacro %}

{# Comma-separated; of no days a date that never is. #}
{% macro date_literals(days) %}
    {% set literals = [] %}
    {% for day in days | unique | sort %}{% do literals.append("date '" ~ day ~ "'") %}{% endfor %}
    {{ return(literals | join(', ') if literals else "date '1970-01-01'") }}
{% endmacro %}
