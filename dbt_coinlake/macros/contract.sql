{#
    Enforces the contract of a model: its columns must have exactly the names and types in its YAML. dbt's own check
    queries the engine twice; the materializations pass the columns that they have read anyway, before they change the
    lake.
#}
{% macro enforce_contract(columns) %}
    {% if config.get('contract').enforced %}
        {% set documented = [] %}
        {% for column in model.columns.values() %}
            {% do documented.append(column_of_contract(column.name, type_name(column.data_type))) %}
        {% endfor %}
        {% set built = [] %}
        {% for column in columns %}{% do built.append(column_of_contract(column.name, column.dtype)) %}{% endfor %}
        {% if documented | sort(attribute='name') != built | sort(attribute='name') %}
            {% do exceptions.raise_contract_error(documented, built) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{# A column in the form that dbt's error of a broken contract expects. #}
{% macro column_of_contract(name, data_type) %}
    {{ return({'name': name, 'data_type': data_type | upper, 'formatted': name ~ ' ' ~ (data_type | upper)}) }}
{% endmacro %}
