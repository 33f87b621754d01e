{#
    Which event of an order is the latest: by time; of equal times a cancellation comes after an update, and an update after the
    creation; then by the event's id. The order is total and depends on the events alone, so that any order of arrival gives one state.
#}
{% macro event_rank(event) -%}
    case {{ event }} when 'order_created' then 1 when 'order_updated' then 2 when 'order_cancelled' then 3 end
{%- endmacro %}

{% macro event_position() -%}{{ tuple_of('occurred_at, event_rank, event_id') }}{%- endmacro %}

{# Orders that the batch brings events of, which this model has not consumed. #}
{% macro touched_orders() -%}
    select distinct store, order_id, placed_at from {{ ref('stg_orders__events') }}
    where reason is null and {{ is_new_to_this_model() }}
{%- endmacro %}

{# Days on which the batch's orders were placed: the partitions that hold them. #}
{% macro placed_dates() %}{{ return(batch_dates(ref('stg_orders__events'), date='placed_date')) }}{% endmacro %}
