{{ config(partition_by=['occurred_date']) }}

{# Every valid event whose id was already accepted. A duplicate that differs from the accepted event is a conflict. #}
{% set values = [
    'store', 'order_id', 'customer_id', 'event', 'status', 'lines', 'discount', 'shipping', 'total', 'placed_at', 'occurred_at'
] %}
with kept as (

    select occurred_date, log_topic, log_partition, log_offset, element_index, identity
    from {{ ref('order_events') }}
    where occurred_date in ({{ batch_dates(ref('stg_orders__events')) }}) and {{ is_new_to_this_model() }}

),

copies as (

    select events.*
    from {{ ref('stg_orders__events') }} as events
    left join kept
        on events.occurred_date = kept.occurred_date
        and events.log_topic = kept.log_topic
        and events.log_partition = kept.log_partition
        and events.log_offset = kept.log_offset
        and events.element_index = kept.element_index
    where events.reason is null
        and kept.identity is null
        and {{ is_new_to_this_model() | replace('log_', 'events.log_') }}

),

originals as {{ computed_once() }}(

    select occurred_date, identity, {{ values[:-1] | join(', ') }}, occurred_at
    from {{ ref('order_events') }}
    where occurred_date in ({{ batch_dates(ref('stg_orders__events')) }}) and identity in (select identity from copies)

)

select
    -- keys
    copies.identity,
    copies.store,
    copies.order_id,

    -- values, and whether they differ from the accepted event
    copies.event,
    copies.status,
    copies.lines,
    copies.discount,
    copies.shipping,
    copies.total,
    (
        {% for value in values %}{{ 'or ' if not loop.first }}copies.{{ value }} is distinct from originals.{{ value }}
        {% endfor %}
    ) as is_conflicting,

    -- times
    copies.placed_at,
    copies.occurred_at,
    copies.occurred_date,
    copies.ingested_at,

    -- origin
    copies.source,
    copies.source_file,
    copies.file_position,

    -- bronze coordinates
    copies.log_topic,
    copies.log_partition,
    copies.log_offset,
    copies.element_index,
    copies.element_count
from copies
left join originals on copies.occurred_date = originals.occurred_date and copies.identity = originals.identity
