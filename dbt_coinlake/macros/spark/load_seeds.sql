{#
    Spark's server does not see the project's files: dbt reads them, and only where it seeds. A run needs seeds that are up to date,
    and says so.
#}
{% macro spark__load_seeds() %}
    {% if execute and flags.WHICH in ['run', 'retry'] %}
        {% for node in graph.nodes.values() if node.resource_type == 'seed' and not is_loaded(node) %}
            {% do exceptions.raise_compiler_error('The seed ' ~ node.name ~ ' is not loaded as its file is now. Run `dbt seed` first, or `dbt build`, which begins with it.') %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{% macro is_loaded(node) %}
    {% set target = api.Relation.create(schema=node.schema, identifier=node.alias) %}
    {{ return(load_relation(target) is not none and table_property(target, checksum_property()) == node.checksum.checksum) }}
{% endmacro %}

{# One commit brings all rows; the checksum follows, and where it does not, the rows come once more. #}
{% materialization seed, adapter='spark' %}
    {% set target = this.incorporate(type='table') %}
    {% set table = load_agate_table() %}
    {% do store_raw_result(name='agate_table', message='', code='', rows_affected='', agate_table=table) %}
    {% if is_loaded(model) %}
        {% do store_raw_result(name='main', message='UP TO DATE', code='SEED', rows_affected='') %}
        {{ return({'relations': [target]}) }}
    {% endif %}
    {% if load_cached_relation(this) is none %}
        {% call statement('create') %}
            create table {{ target }} (
                {% for column in model.columns.values() %}{{ column.name }} {{ type_name(column.data_type) }}{{ ',' if not loop.last }}{% endfor %}
            ) using iceberg tblproperties ('format-version' = '2')
        {% endcall %}
    {% endif %}
    {# Seeds have no consumed offsets, and a run that failed may have left some in the session. #}
    {% do clear_summary(offsets_property()) %}
    {% set names = model.columns.keys() | join(', ') %}
    {% call statement('load') %}
        insert overwrite {{ target }} ({{ names }}) values
        {% for row in table.rows %}
            ({% for name in model.columns %}{{ "'" ~ (row[name] | string | replace("\\", "\\\\") | replace("'", "\\'")) ~ "'" if row[name] is not none else 'null' }}{{ ', ' if not loop.last }}{% endfor %}){{ ',' if not loop.last }}
        {% endfor %}
    {% endcall %}
    {% do set_table_property(target, checksum_property(), model.checksum.checksum) %}
    {% do store_raw_result(name='main', message='LOADED', code='SEED', rows_affected='') %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
