{# Rows with equal values in `determinant` have equal values in `dependent`. #}
{% test functional_dependency(model, determinant, dependent) %}
select {{ determinant }}, count(distinct {{ dependent }}) as values_found
from {{ model }}
group by {{ determinant }}
having count(distinct {{ dependent }}) > 1
{% endtest %}
