{#
    As on DuckDB: a run is one atomic commit per table. On Spark that is one statement, since each makes one snapshot: rows come by
    INSERT, rows come and leave by MERGE, all rows leave by INSERT OVERWRITE.
#}
{% materialization incremental, adapter='spark' %}
    {% set target = this.incorporate(type='table') %}
    {% set is_new = load_cached_relation(this) is none %}
    {% do assert_complete_selection() %}
    {% set begin = consumed(this) %}
    {% set end = batch_end() %}
    {% if not is_new and not flags.FULL_REFRESH and offsets_between(begin, end) == 'false' %}
        {% do store_result('main', response='UP TO DATE') %}
        {{ return({'relations': [target]}) }}
    {% endif %}

    {% set columns = columns_of_query(sql) %}
    {% do enforce_contract(columns) %}
    {% set names = columns | map(attribute='name') | join(', ') %}
    {% if is_new %}
        {% call statement('create') %}{{ create_iceberg_table(target, columns) }}{% endcall %}
    {% else %}
        {% do add_or_widen_columns(target, adapter.get_columns_in_relation(target), columns) %}
    {% endif %}

    {% set offsets = advance_offsets(begin, end) %}
    {% set replaces_all = flags.FULL_REFRESH and not is_new %}
    {% set replaces_some = not is_new and not replaces_all and (config.get('unique_key') or config.get('replace_on')) %}
    {% set replacement = none %}
    {% if replaces_some %}
        {% set source = cache_stage(sql) %}
        {% set replacement = new_rows(source).replacement %}
    {% else %}
        {% set source = '(' ~ sql ~ ')' %}
    {% endif %}
    {% do set_summary(offsets_property(), tojson(offsets, sort_keys=true)) %}
    {% call statement('main') %}
        {% if replacement %}
            {{ merge_replaced(target, source, columns, replacement) }}
        {% else %}
            insert {{ 'overwrite' if replaces_all else 'into' }} {{ target }} ({{ names }}) select {{ names }} from {{ source }}
        {% endif %}
    {% endcall %}
    {% do clear_summary(offsets_property()) %}
    {% if is_built_whole(begin) %}{% do set_table_property(target, version_property(), models_version()) %}{% endif %}
    {% do set_table_property(target, offsets_property(), tojson(offsets, sort_keys=true)) %}
    {% do cache_offsets(target, offsets) %}
    {% if replaces_some %}{% do run_query('drop view ' ~ source) %}{% endif %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#
    The new rows, computed once: what they replace is found by them, and by them it is replaced. A global view, so that what a run that
    was killed leaves in Spark's memory makes way for the next run's.
#}
{% macro cache_stage(sql) %}
    {% set stage = this.identifier ~ '__stage' %}
    {% call statement('stage') %}create or replace global temporary view {{ stage }} as {{ sql }}{% endcall %}
    {% call statement('hold') %}cache table global_temp.{{ stage }}{% endcall %}
    {{ return('global_temp.' ~ stage) }}
{% endmacro %}

{% macro columns_of_query(sql) %}
    {% set columns = [] %}
    {% for row in run_query('describe query ' ~ sql).rows if row[0] not in config.get('helper_columns', []) %}
        {% do columns.append(api.Column(row[0], row[1])) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}

{% macro spark__create_iceberg_table(target, columns) %}
    create table {{ target }} (
        {% for column in columns %}{{ column.name }} {{ column.dtype }}{{ ',' if not loop.last }}{% endfor %}
    )
    using iceberg
    {% if config.get('partition_by') %}partitioned by ({{ config.get('partition_by') | join(', ') }}){% endif %}
    tblproperties ('format-version' = '2')
{% endmacro %}

{#
    Where a new row may replace several rows, or several new rows one, every new row is there twice: once to find what leaves, once to
    come. Rows that leave are only deleted, so Spark does not mind that several find the same one.
#}
{% macro merge_replaced(target, stage, columns, replacement) %}
    {% set names = columns | map(attribute='name') | join(', ') %}
    {% set values = [] %}
    {% for column in columns %}{% do values.append('s.' ~ column.name) %}{% endfor %}
    merge into {{ target }} as t
    using (select *, false as is_row from {{ stage }} union all select *, true from {{ stage }}) as s
    on not s.is_row and {{ (replacement.bounds + [replacement.matches]) | join(' and ') }}
    when matched then delete
    when not matched and s.is_row then insert ({{ names }}) values ({{ values | join(', ') }})
{% endmacro %}

{% macro spark__is_widening(old, new) %}
    {{ return(old == 'int' and new == 'bigint' or old == 'float' and new == 'double' or is_wider_decimal(old, new)) }}
{% endmacro %}

{% macro spark__widen_column(target, column) %}alter table {{ target }} alter column {{ column.name }} type {{ column.dtype }}{% endmacro %}

{#
    Four kinds of commits, each of which leaves a table that every reader understands: the new columns come beside the old ones, all rows are
    written with both, the old ones go, the new ones take their names. A run that was killed before the old ones went begins again.
#}
{% macro spark__rescale_columns(target, present_columns, rescaled) %}
    {% set present = present_columns | map(attribute='name') | list %}
    {% set kept = [] %}
    {% for name in present if not name.endswith('__rescaled') %}{% do kept.append(name) %}{% endfor %}
    {% set values = [] %}
    {% set added = [] %}
    {% for column in rescaled %}
        {% set name = column.name ~ '__rescaled' %}
        {% do added.append(name) %}
        {% do values.append('try_cast(' ~ column.name ~ ' as ' ~ column.dtype ~ ')') %}
        {% if name not in present %}{% do run_query('alter table ' ~ target ~ ' add column ' ~ name ~ ' ' ~ column.dtype) %}{% endif %}
    {% endfor %}
    {% do clear_summary(offsets_property()) %}
    {% do run_query(
        'insert overwrite ' ~ target ~ ' (' ~ ((kept + added) | join(', ')) ~ ') select ' ~ ((kept + values) | join(', ')) ~ ' from ' ~ target
    ) %}
    {% for column in rescaled %}{% do rename_rescaled(target, column.name, true) %}{% endfor %}
{% endmacro %}

{% macro rename_rescaled(target, name, has_old) %}
    {% if has_old %}{% do run_query('alter table ' ~ target ~ ' drop column ' ~ name) %}{% endif %}
    {% do run_query('alter table ' ~ target ~ ' rename column ' ~ name ~ '__rescaled to ' ~ name) %}
{% endmacro %}

{% macro spark__finish_rescaling(target, present, columns) %}
    {% for column in columns if column.name not in present and column.name ~ '__rescaled' in present %}
        {% do rename_rescaled(target, column.name, false) %}
        {% do present.update({column.name: column.dtype}) %}
    {% endfor %}
{% endmacro %}
