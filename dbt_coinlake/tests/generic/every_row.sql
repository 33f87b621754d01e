{# Every row meets every condition; a condition that is null is met. One scan checks all of them. #}
{% test every_row(model, conditions) %}
select
    *,
    concat_ws(
        '; '
        {%- for condition in conditions %},
        case when not ({{ condition }}) then '{{ condition | replace("'", "''") }}' end
        {%- endfor %}
    ) as broken_conditions
from {{ model }}
where {% for condition in conditions %}not ({{ condition }}){{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
