{#
    Incremental tables in Iceberg. Replaces dbt-duckdb's materialization, which renames tables inside a transaction;
    Iceberg does not support that. A run makes one atomic commit per table: it deletes rows, inserts rows, and updates
    the table's consumed offsets. A full refresh deletes all rows in the same commit, so readers never see an empty
    table.

    Config in addition to dbt's:

      partition_by     partition columns, set when the table is created
      unique_key       a new row replaces rows of the table with the same key; without a key, rows are appended
      replace_on       instead of unique_key: the SQL condition under which a new row s replaces a row t of the table
      prune_by         columns whose range in the new rows limits the search for rows to replace
      replace_when     SQL condition: only new rows that meet it replace rows; if none does, the table is not searched
      helper_columns   columns that replace_on needs and that are not stored in the table
#}
{% materialization incremental, adapter='duckdb' %}
    {% set target = this.incorporate(type='table') %}
    {% set is_new = load_cached_relation(this) is none %}
    {% do assert_complete_selection() %}
    {% set begin = consumed(this) %}
    {% set end = batch_end() %}
    {% if not is_new and not flags.FULL_REFRESH and offsets_between(begin, end) == 'false' %}
        {% do store_result('main', response='UP TO DATE') %}
        {{ return({'relations': [target]}) }}
    {% endif %}

    {% set stage = api.Relation.create(identifier=this.identifier ~ '__stage', type='table') %}
    {% call statement('stage', auto_begin=False) %}create or replace temp table {{ stage }} as ({{ sql }}){% endcall %}
    {% set found = columns_of(stage, none if is_new else target) %}
    {% set columns = found.stage | rejectattr('name', 'in', config.get('helper_columns', [])) | list %}
    {% do enforce_contract(columns) %}
    {% if is_new %}
        {% call statement('create', auto_begin=False) %}{{ create_iceberg_table(target, columns) }}{% endcall %}
    {% else %}
        {% do add_or_widen_columns(target, found.target, columns) %}
    {% endif %}

    {% set rows = new_rows(stage) %}
    {% set names = columns | map(attribute='name') | join(', ') %}
    {% call statement('main') %}
        {% if flags.FULL_REFRESH and not is_new %}
            delete from {{ target }};
        {% elif rows.replacement and not is_new %}
            {{ delete_replaced(target, stage, rows.replacement) }}
        {% endif %}
        {% if rows.count > 0 %}
            insert into {{ target }} ({{ names }}) select {{ names }} from {{ stage }};
        {% endif %}
        call set_iceberg_table_properties({{ target }}, {
            {% if is_built_whole(begin) %}'{{ version_property() }}': '{{ models_version() }}',{% endif %}
            '{{ offsets_property() }}': '{{ tojson(advance_offsets(begin, end), sort_keys=true) }}'
        });
    {% endcall %}
    {% do adapter.commit() %}
    {% do cache_offsets(target, advance_offsets(begin, end)) %}
    {% call statement('drop', auto_begin=False) %}drop table {{ stage }}{% endcall %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# The columns of the stage, and of its target if there is one, in one query. #}
{% macro columns_of(stage, target) %}
    {% set found = {'stage': [], 'target': []} %}
    {% set queries = ["select 'stage', column_name, column_type from (describe " ~ stage ~ ")"] %}
    {% if target is not none %}{% do queries.append("select 'target', column_name, column_type from (describe " ~ target ~ ")") %}{% endif %}
    {% for row in run_query(queries | join(' union all ')).rows %}{% do found[row[0]].append(api.Column(row[1], row[2])) %}{% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro create_iceberg_table(target, columns) %}{{ adapter.dispatch('create_iceberg_table')(target, columns) }}{% endmacro %}
{% macro duckdb__create_iceberg_table(target, columns) %}
    create table {{ target }} (
        {% for column in columns %}{{ column.name }} {{ column.dtype }}{{ ',' if not loop.last }}{% endfor %}
    )
    {% if config.get('partition_by') %}partitioned by ({{ config.get('partition_by') | join(', ') }}){% endif %}
{% endmacro %}

{#
    Tables outlive versions of their models. A column that a model gains is added (null in old rows), and a type that
    grows is widened; both change only the table's metadata. Iceberg has no promotion for a decimal whose number of
    decimal places changes: the table's rows are written again with the new type, and earlier snapshots keep the old
    type. Any other change fails with an error that says what to do.
#}
{% macro add_or_widen_columns(target, present_columns, columns) %}
    {% set present = {} %}
    {% for column in present_columns %}{% do present.update({column.name: column.dtype}) %}{% endfor %}
    {% do finish_rescaling(target, present, columns) %}
    {% set rescaled = [] %}
    {% for column in columns if present.get(column.name) != column.dtype %}
        {% if is_other_scale(present.get(column.name), column.dtype) %}
            {% do rescaled.append(column) %}
        {% elif column.name not in present %}
            {% call statement('add', auto_begin=False) %}alter table {{ target }} add column {{ column.name }} {{ column.dtype }}{% endcall %}
        {% elif is_widening(present[column.name], column.dtype) %}
            {% call statement('widen', auto_begin=False) %}{{ adapter.dispatch('widen_column')(target, column) }}{% endcall %}
        {% else %}
            {% do exceptions.raise_compiler_error(
                target ~ '.' ~ column.name ~ ' is ' ~ present[column.name] ~ ' and the model gives ' ~ column.dtype
                ~ ': Iceberg widens int to bigint, float to double and decimals. Cast it in the model, or give the new column a new name.'
            ) %}
        {% endif %}
    {% endfor %}
    {% if rescaled %}{{ adapter.dispatch('rescale_columns')(target, present_columns, rescaled) }}{% endif %}
{% endmacro %}

{# One commit: the columns are dropped and added again with the same names, and every row is written with them. #}
{% macro duckdb__rescale_columns(target, present_columns, rescaled) %}
    {% set names = present_columns | map(attribute='name') | join(', ') %}
    {% set copy = api.Relation.create(identifier=target.identifier ~ '__copy', type='table') %}
    {% call statement('copy', auto_begin=False) %}create or replace temp table {{ copy }} as (select * from {{ target }}){% endcall %}
    {% call statement('rescale') %}
        {% for column in rescaled %}
            alter table {{ target }} drop column {{ column.name }};
            alter table {{ target }} add column {{ column.name }} {{ column.dtype }};
        {% endfor %}
        delete from {{ target }};
        insert into {{ target }} ({{ names }}) select {{ all_with_cast(present_columns, rescaled) }} from {{ copy }};
    {% endcall %}
    {% do adapter.commit() %}
    {% call statement('drop_copy', auto_begin=False) %}drop table {{ copy }}{% endcall %}
{% endmacro %}

{# Finishes what a killed run left, on engines where rescaling takes several commits. #}
{% macro finish_rescaling(target, present, columns) %}{{ adapter.dispatch('finish_rescaling')(target, present, columns) }}{% endmacro %}
{% macro duckdb__finish_rescaling(target, present, columns) %}{% endmacro %}

{# A figure that does not fit the new type is null: it has more digits before the decimal point than any real one. #}
{% macro all_with_cast(present_columns, rescaled) %}
    {% set types = {} %}
    {% for column in rescaled %}{% do types.update({column.name: column.dtype}) %}{% endfor %}
    {% set expressions = [] %}
    {% for column in present_columns %}
        {% do expressions.append('try_cast(' ~ column.name ~ ' as ' ~ types[column.name] ~ ')' if column.name in types else column.name) %}
    {% endfor %}
    {{ return(expressions | join(', ')) }}
{% endmacro %}

{% macro is_other_scale(old, new) %}
    {% set old_decimal = modules.re.match('decimal\\((\\d+),(\\d+)\\)', (old or '') | lower) %}
    {% set new_decimal = modules.re.match('decimal\\((\\d+),(\\d+)\\)', new | lower) %}
    {{ return(old_decimal and new_decimal and old_decimal.group(2) != new_decimal.group(2)) }}
{% endmacro %}

{% macro duckdb__widen_column(target, column) %}alter table {{ target }} alter column {{ column.name }} set data type {{ column.dtype }}{% endmacro %}

{# Iceberg's type promotions (spec, "Schema evolution"). #}
{% macro is_widening(old, new) %}{{ return(adapter.dispatch('is_widening')(old, new)) }}{% endmacro %}
{% macro duckdb__is_widening(old, new) %}
    {{ return(old == 'INTEGER' and new == 'BIGINT' or old == 'FLOAT' and new == 'DOUBLE' or is_wider_decimal(old, new)) }}
{% endmacro %}

{% macro is_wider_decimal(old, new) %}
    {% set old_decimal = modules.re.match('decimal\\((\\d+),(\\d+)\\)', old | lower) %}
    {% set new_decimal = modules.re.match('decimal\\((\\d+),(\\d+)\\)', new | lower) %}
    {{ return(
        old_decimal and new_decimal and old_decimal.group(2) == new_decimal.group(2)
        and (old_decimal.group(1) | int) < (new_decimal.group(1) | int)
    ) }}
{% endmacro %}

{#
    The new rows of a stage: their `count`, and what they replace. `bounds` are conditions on a row t of the table that
    skip most files; `matches` is the condition under which a new row s replaces t. `replacement` is none if the table
    need not be searched.
#}
{% macro new_rows(stage) %}
    {% set matches = [config.get('replace_on')] if config.get('replace_on') else [] %}
    {% for key in config.get('unique_key') or [] %}{% do matches.append('t.' ~ key ~ ' = s.' ~ key) %}{% endfor %}
    {% set replacing = ' filter (where ' ~ config.get('replace_when', 'true') ~ ')' %}
    {% set figures = ['count(*)', 'count(*)' ~ replacing] %}
    {% for column in config.get('prune_by', []) %}
        {% do figures.append('(min(' ~ column ~ ')' ~ replacing ~ ')::string, (max(' ~ column ~ ')' ~ replacing ~ ')::string') %}
    {% endfor %}
    {% set found = run_query('select ' ~ (figures | join(', ')) ~ ' from ' ~ stage).rows[0] %}
    {% if not matches or found[1] == 0 %}{{ return({'count': found[0], 'replacement': none}) }}{% endif %}
    {% set bounds = [] %}
    {% for column in config.get('prune_by', []) %}
        {% do bounds.append("t." ~ column ~ " between '" ~ found[2 * loop.index] ~ "' and '" ~ found[2 * loop.index + 1] ~ "'") %}
    {% endfor %}
    {{ return({'count': found[0], 'replacement': {'bounds': bounds, 'matches': matches | join(' and ')}}) }}
{% endmacro %}

{% macro delete_replaced(target, stage, replacement) %}
    {# Not "delete using": it would delete a row several times that several new rows replace, which fails in Iceberg. #}
    delete from {{ target }} as t
    where {% for bound in replacement.bounds %}{{ bound }} and {% endfor %}exists (select 1 from {{ stage }} as s where {{ replacement.matches }});
{% endmacro %}
