{{ config(unique_key=['product_id']) }}

{# One row per product, by its latest order line. The table's row has the latest of all earlier lines. #}
with new_events as (

    select identity as event_id, occurred_at, lines from {{ ref('order_events') }}
    where occurred_date in ({{ batch_dates(ref('stg_orders__events')) }}) and {{ is_new_to_this_model() }}

),

lines as (

    {{ rows_of_lines('new_events') }}

),

new_lines as (

    select
        {{ line_field('product_id') }} as product_id,
        {{ line_field('name') }} as name,
        {{ line_field('category') }} as category,
        cast({{ line_field('unit_price') }} as {{ money_type() }}) as unit_price,
        occurred_at as first_ordered_at,
        occurred_at as last_ordered_at,
        event_id as last_event_id,
        line_number::integer as last_line_number
    from lines

),

known as (

    select * from new_lines

    {% if is_incremental() %}
    union all

    select product_id, name, category, unit_price, first_ordered_at, last_ordered_at, last_event_id, last_line_number
    from {{ this }}
    where product_id in (select product_id from new_lines)
    {% endif %}

)

select
    product_id,
    {{ last_by('name', 'position') }} as name,
    {{ last_by('category', 'position') }} as category,
    {{ last_by('unit_price', 'position') }} as unit_price,
    min(first_ordered_at) as first_ordered_at,
    max(last_ordered_at) as last_ordered_at,
    {{ last_by('last_event_id', 'position') }} as last_event_id,
    {{ last_by('last_line_number', 'position') }} as last_line_number
from (select *, {{ tuple_of('last_ordered_at, last_event_id, last_line_number') }} as position from known) as positioned
group by product_id
