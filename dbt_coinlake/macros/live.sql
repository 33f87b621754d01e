{#
    The live tail runs these models over records that no table has yet: it takes their SQL as compiled with `live: true` and puts
    its relations in the place of tables. What a run would look up before it writes its SQL is then part of the SQL, and
    `coinlake_is_new(topic, partition, offset)` means "not in this model's table yet".
#}
{% macro is_live() %}{{ return(var('live', false)) }}{% endmacro %}

{# A tail always continues a table, if only an empty one. #}
{% macro is_incremental() %}{{ return(true if is_live() else dbt.is_incremental()) }}{% endmacro %}

{#
    A part of a statement that only rows need which may be copies of others. The live tail knows of most batches that none is (numbers
    rise), and leaves it out: finding the first of each costs ten times what the rest does.
#}
{% macro where_copies_may_be() -%}
    {% if is_live() %}/* where copies may be */{% endif %}{{ caller() }}{% if is_live() %}/* end */{% endif %}
{%- endmacro %}
