{#
    Versions of a key follow each other without a gap or an overlap. Each differs from the one before, and only the last
    one is current and has no end.
#}
{% test versions_are_gapless(model, key, attributes) %}
{% set state = tuple_of(attributes | join(', ')) %}
with versions as (

    select
        {{ key }},
        valid_from,
        valid_to,
        is_current,
        lead(valid_from) over in_time as next_from,
        {{ state }} is not distinct from lead({{ state }}) over in_time
            and lead(valid_from) over in_time is not null as is_repeated
    from {{ model }}
    window in_time as (partition by {{ key }} order by valid_from)

)

select *
from versions
where valid_to is distinct from next_from
    or valid_from >= valid_to
    or is_current is distinct from (valid_to is null)
    or is_repeated
{% endtest %}
