{# The columns and types of every table are those in its YAML, so that the documentation stays correct. #}
{% set differences = [] %}
{% for node in graph.nodes.values()
    if execute and (node.resource_type == 'seed' or 'log' in node.tags) %}
    {% set documented = [] %}
    {% for column in node.columns.values() %}{% do documented.append(column.name ~ ' ' ~ type_name(column.data_type) | upper) %}{% endfor %}
    {% set present = [] %}
    {% set table = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
    {% for column in adapter.get_columns_in_relation(table) %}{% do present.append(column.name ~ ' ' ~ column.dtype | upper) %}{% endfor %}
    {% for column in documented if column not in present %}{% do differences.append((node.name, column, 'documented only')) %}{% endfor %}
    {% for column in present if column not in documented %}{% do differences.append((node.name, column, 'in the table only')) %}{% endfor %}
{% endfor %}
select differences.*
from (
    values ('', '', '') {% for row in differences %}, ('{{ row | join("', '") }}'){% endfor %}
) as differences (model, of_column, problem)
where differences.model != ''
