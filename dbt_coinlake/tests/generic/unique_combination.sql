{# No two rows have equal values in all of the columns; `where` limits the test to the rows that meet it. #}
{% test unique_combination(model, columns, where='true') %}
select {{ columns | join(', ') }}, count(*) as row_count
from {{ model }}
where {{ where }}
group by all
having count(*) > 1
{% endtest %}
