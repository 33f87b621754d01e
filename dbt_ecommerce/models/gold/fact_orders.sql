{{ config(
    partition_by=['placed_date'],
    replace_on='t.store = s.store and t.order_id = s.order_id and t.placed_at = s.placed_at',
    prune_by=['placed_date', 'placed_at']
) }}

{# One row per order line. An order that changed is written again with all its lines. #}
with touched as (

    {{ touched_orders() }}

),

orders as (

    select orders.*
    from {{ ref('orders_silver') }} as orders
    inner join touched using (store, order_id, placed_at)
    where orders.placed_date in ({{ placed_dates() }})

),

order_lines as (

    {{ rows_of_lines('orders') }}

),

typed_lines as (

    select
        *,
        cast({{ line_field('quantity') }} as integer) as quantity_of_line,
        cast({{ line_field('unit_price') }} as {{ money_type() }}) as price_of_line
    from order_lines

)

select
    -- keys
    store,
    order_id,
    line_number::integer as line_number,
    customer_id,
    {{ line_field('product_id') }} as product_id,

    -- measures
    quantity_of_line as quantity,
    price_of_line as unit_price,
    cast(quantity_of_line * price_of_line as {{ money_type() }}) as amount,
    case when line_number = 1 then discount else cast(0 as {{ money_type() }}) end as order_discount,
    case when line_number = 1 then shipping else cast(0 as {{ money_type() }}) end as order_shipping,

    -- state
    status,
    is_cancelled,
    channel,

    -- times
    placed_at,
    placed_date,
    updated_at
from typed_lines
