{# A relationship over several columns: each combination is one of the other table's. #}
{% test combination_exists_in(model, columns, to) %}
select {{ columns | join(', ') }} from {{ model }}
except
select {{ columns | join(', ') }} from {{ to }}
{% endtest %}
