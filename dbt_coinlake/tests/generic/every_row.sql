{# Every row meets every condition, or has null where the condition looks: one scan for all of them. #}
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
