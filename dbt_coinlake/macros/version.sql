{#
    The version of the models and seeds that built a table's oldest rows, a table property. It is set when the table is
    empty or every row is replaced, and does not change when a later version adds rows: `verify --deep` compares rows
    only with the output of the same version. Coinlake sets the version; dbt that is started by hand has none.
#}
{% macro version_property() %}{{ return('coinlake.models-version') }}{% endmacro %}

{% macro models_version() %}{{ return(env_var('COINLAKE_MODELS_VERSION', '')) }}{% endmacro %}

{# Whether the rows of this commit are all rows of the table. #}
{% macro is_built_whole(begin) %}{{ return(flags.FULL_REFRESH or not begin) }}{% endmacro %}
