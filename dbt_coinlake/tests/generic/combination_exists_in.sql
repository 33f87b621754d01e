{# A relationship over several columns: each combination exists in the other table. #}
{% test combination_exists_in(model, columns, to) %}
select {{ columns | join(', ') }} from {{ model }}
except
select {{ columns | join(', ') }} from {{ to }}
{% endtest %}
