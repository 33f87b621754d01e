{{ config(
    partition_by=['placed_date'],
    unique_key=['store', 'minute_at'],
    prune_by=['placed_date', 'minute_at']
) }}

{#
    Total sales per minute: the orders placed in each minute, as they are now. Minutes with a changed order are computed again from
    all their orders. Cancelled orders count as cancelled, not as sales.
#}
with touched as (

    select distinct store, date_trunc('minute', placed_at) as minute_at from (
        {{ touched_orders() }}
    ) as orders

),

orders as (

    select *, date_trunc('minute', placed_at) as minute_at
    from {{ ref('orders_silver') }}
    where placed_date in ({{ placed_dates() }})

)

select
    store,
    minute_at,
    cast(sum(case when is_cancelled then 0 else total end) as {{ money_type() }}) as sales,
    count(*) filter (where not is_cancelled)::integer as orders,
    coalesce(sum(quantity) filter (where not is_cancelled), 0)::bigint as items,
    count(*) filter (where is_cancelled)::integer as cancelled_orders,
    cast(coalesce(sum(total) filter (where is_cancelled), 0) as {{ money_type() }}) as cancelled_sales,
    cast(minute_at as date) as placed_date
from orders
inner join touched using (store, minute_at)
group by store, minute_at
