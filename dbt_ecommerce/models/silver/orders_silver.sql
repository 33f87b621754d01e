{{ config(
    partition_by=['placed_date'],
    unique_key=['store', 'order_id', 'placed_at'],
    prune_by=['placed_date', 'placed_at']
) }}

{#
    One row per order: the state after its latest event. The table's row has the latest of all earlier events, so those
    need not be read again: the latest event is the same in any order of arrival.
#}
with touched as (

    {{ touched_orders() }}

),

events as (

    select
        store, order_id, placed_at, customer_id, event, event_rank, identity as event_id, status, channel, lines,
        quantity, discount, shipping, total, occurred_at
    from {{ ref('order_events') }}
    where occurred_date in ({{ batch_dates(ref('stg_orders__events')) }}) and {{ is_new_to_this_model() }}

    {% if is_incremental() %}
    union all

    select
        orders.store, orders.order_id, orders.placed_at, orders.customer_id, orders.last_event,
        {{ event_rank('orders.last_event') }} as event_rank, orders.last_event_id, orders.status, orders.channel,
        orders.lines, orders.quantity, orders.discount, orders.shipping, orders.total, orders.updated_at
    from {{ this }} as orders
    inner join touched using (store, order_id, placed_at)
    where orders.placed_date in ({{ placed_dates() }})
    {% endif %}

),

states as (

    select
        *,
        row_number() over (
            partition by store, order_id, placed_at
            order by occurred_at desc, event_rank desc, event_id desc
        ) as nth
    from events

)

select
    store,
    order_id,
    customer_id,
    case when event = 'order_cancelled' then 'cancelled' else status end as status,
    event = 'order_cancelled' or coalesce(status, '') = 'cancelled' as is_cancelled,
    channel,
    lines,
    quantity,
    discount,
    shipping,
    total,
    placed_at,
    cast(placed_at as date) as placed_date,
    occurred_at as updated_at,
    event as last_event,
    event_id as last_event_id
from states
where nth = 1
