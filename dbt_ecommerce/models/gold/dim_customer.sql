{{ config(
    helper_columns=['replaced_from'],
    replace_on='t.customer_id = s.customer_id and t.valid_from >= s.replaced_from'
) }}

{#
    Slowly changing dimension, type 2: one row per state of a customer, as orders describe it. Versions of the batch's
    customers are computed from their events since the earliest new one, starting with the version in effect before it,
    so that any order of arrival gives the same versions.
#}
{% set attributes = ['name', 'email', 'segment', 'city', 'country'] %}
{% set state = tuple_of(attributes | join(', ')) %}
{% set position = tuple_of('events.occurred_at, events.event_rank, events.identity') %}
{% set span = batch_span(ref('stg_orders__events'), is_new_to_this_model()) %}
with touched as (

    select customer_id, date_trunc('minute', min(occurred_at)) as first_new
    from {{ ref('order_events') }}
    where occurred_date in ({{ batch_dates(ref('stg_orders__events')) }}) and {{ is_new_to_this_model() }}
    group by customer_id

),

observations as (

    select
        events.customer_id,
        date_trunc('minute', events.occurred_at) as valid_from,
        {% for attribute in attributes %}
        {{ last_by('events.customer_' ~ attribute, position) }} as {{ attribute }},
        {% endfor %}
        false as is_known
    from {{ ref('order_events') }} as events
    inner join touched on events.customer_id = touched.customer_id and events.occurred_at >= touched.first_new
    where events.occurred_date >= cast({{ span.first }} as date)
    group by events.customer_id, date_trunc('minute', events.occurred_at)

    {% if is_incremental() %}
    union all

    select customer_id, valid_from, {{ attributes | join(', ') }}, true as is_known
    from {{ this }} as versions
    inner join touched using (customer_id)
    where versions.valid_from < touched.first_new
        and (versions.valid_to is null or versions.valid_to >= touched.first_new)
    {% endif %}

),

{# An attribute that an order lacks keeps its last known value. #}
states as (

    select
        customer_id,
        valid_from,
        {% for attribute in attributes %}
        {{ last_known(attribute, 'so_far') }} as {{ attribute }},
        {% endfor %}
        is_known
    from observations
    window so_far as (partition by customer_id order by valid_from rows between unbounded preceding and current row)

),

changes as (

    select customer_id, valid_from, {{ attributes | join(', ') }}, is_known
    from (
        select
            *,
            lag({{ state }}) over (partition by customer_id order by valid_from) as state_before,
            {{ state }} as state_now
        from states
    ) as states
    where state_now is distinct from state_before

),

versions as (

    select
        *,
        lead(valid_from) over (partition by customer_id order by valid_from) as valid_to,
        min(valid_from) over (partition by customer_id) as replaced_from,
        bool_and(is_known) over (partition by customer_id) as is_unchanged
    from changes

)

select
    customer_id || '@' || {{ text_of_minute('valid_from') }} as customer_key,
    customer_id,
    {{ attributes | join(', ') }},
    valid_from,
    valid_to,
    valid_to is null as is_current,
    replaced_from
from versions
{% if is_incremental() %}
{#
    Versions from `first_new` on are deleted and computed again. A version that may lose its successor is written again,
    with valid_to null.
#}
where not is_unchanged
    or customer_id in (
        select versions.customer_id from {{ this }} as versions
        inner join touched using (customer_id)
        where versions.valid_from >= touched.first_new
    )
{% endif %}
