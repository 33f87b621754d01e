{#
    The live tail runs the models on records that no table has yet. It takes their SQL, compiled with `live: true`, and
    replaces the tables in it with its relations. Values that a run looks up before it renders SQL are subqueries in
    this SQL, and `coinlake_is_new(topic, partition, offset)` means "not in this model's table yet".
#}
{% macro is_live() %}{{ return(var('live', false)) }}{% endmacro %}

{# The live tail always continues a table, even if the table is empty. #}
{% macro is_incremental() %}{{ return(true if is_live() else dbt.is_incremental()) }}{% endmacro %}

{#
    A part of a statement that finds copies. The live tail omits it for a batch that cannot contain copies, such as one
    with rising trade numbers, as most batches are: finding the first of each identity costs ten times as much as the
    rest of the statement.
#}
{% macro where_copies_may_be() -%}
    {% if is_live() %}/* where copies may be */{% endif %}{{ caller() }}{% if is_live() %}/* end */{% endif %}
{%- endmacro %}
