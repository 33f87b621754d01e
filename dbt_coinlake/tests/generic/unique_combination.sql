{# No two rows agree in all of the columns; of the rows that meet the condition, where there is one. #}
{% test unique_combination(model, columns, where='true') %}
select {{ columns | join(', ') }}, count(*) as row_count
from {{ model }}
where {{ where }}
group by all
having count(*) > 1
{% endtest %}
