{#
    Loads each seed at the start of every run if its file has changed, so that every run of the models, on a new or an
    existing lake, uses the current mapping. One commit writes all rows of the file and its checksum, so readers see
    either the old or the new rows. For an unchanged file, a run only reads a table property.
#}
{% macro load_seeds() %}{{ adapter.dispatch('load_seeds')() }}{% endmacro %}
{% macro duckdb__load_seeds() %}
    {% if execute and flags.WHICH in ['run', 'build', 'retry'] %}
        {% for id in graph.nodes if id.startswith('seed.') %}{% do load_seed(graph.nodes[id]) %}{% endfor %}
    {% endif %}
{% endmacro %}

{% macro load_seed(node) %}
    {% set target = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias, type='table') %}
    {% set file = "'" ~ (node.root_path ~ '/' ~ node.original_file_path) | replace("'", "''") ~ "'" %}
    {% set checksum = run_query('select sha256(content) from read_text(' ~ file ~ ')').columns[0].values()[0] %}
    {% set is_new = load_relation(target) is none %}
    {% if not is_new and table_property(target, checksum_property()) == checksum %}{{ return('UP TO DATE') }}{% endif %}

    {% set names = node.columns.keys() | join(', ') %}
    {% if is_new %}
        {% call statement('create', auto_begin=False) %}
            create table {{ target }} (
                {% for column in node.columns.values() %}{{ column.name }} {{ column.data_type }}{{ ',' if not loop.last }}{% endfor %}
            )
        {% endcall %}
        {% do adapter.cache_added(target) %}
    {% endif %}
    {% call statement('load') %}
        {% if not is_new %}delete from {{ target }};{% endif %}
        insert into {{ target }} ({{ names }}) select {{ names }} from read_csv({{ file }}, header=true, all_varchar=true);
        call set_iceberg_table_properties({{ target }}, {'{{ checksum_property() }}': '{{ checksum }}'});
    {% endcall %}
    {% do adapter.commit() %}
    {{ return('LOADED') }}
{% endmacro %}

{% macro checksum_property() %}{{ return('coinlake.seed-sha256') }}{% endmacro %}

{# `dbt seed` and `dbt build` load seeds in the same way. #}
{% materialization seed, adapter='duckdb' %}
    {% do store_raw_result(name='main', message=load_seed(model), code='SEED') %}
    {# dbt requires this result and prints it for `--show`. #}
    {% do store_raw_result(name='agate_table', message='', code='', rows_affected='', agate_table=load_agate_table()) %}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}
