{#
    In each minute: sales + cancelled sales = totals of the orders = amounts of their lines - discounts + shipping. The
    tables are compared if their consumed offsets are equal, which is always true between runs.
#}
{% set tables = [ref('orders_silver'), ref('sales_per_minute'), ref('fact_orders')] %}
{% set offsets = offsets_of_all(tables) %}
{% set is_between_runs = offsets[0] == offsets[1] == offsets[2] %}
with amounts as (

    select store, date_trunc('minute', placed_at) as minute_at, total as of_orders, null as of_minutes, null as of_lines
    from {{ tables[0] }}

    union all

    select store, minute_at, null, sales + cancelled_sales, null
    from {{ tables[1] }}

    union all

    select store, date_trunc('minute', placed_at), null, null, amount - order_discount + order_shipping
    from {{ tables[2] }}

)

select store, minute_at, sum(of_orders) as of_orders, sum(of_minutes) as of_minutes, sum(of_lines) as of_lines
from amounts
where {{ is_between_runs }}
group by store, minute_at
having sum(of_orders) is distinct from sum(of_minutes) or sum(of_orders) is distinct from sum(of_lines)
