{#
    The order that decides which event of an order is the latest. Events are ordered by time. Of events with equal
    times, a cancellation comes after an update, and an update after the creation; then the event's id decides. The
    order is total and depends only on the events, so the state is the same in any order of arrival.
#}
{% macro event_rank(event) -%}
    case {{ event }} when 'order_created' then 1 when 'order_updated' then 2 when 'order_cancelled' then 3 end
{%- endmacro %}

{% macro event_position() -%}{{ tuple_of('occurred_at, event_rank, event_id') }}{%- endmacro %}

{# Orders with events in the batch that this model has not consumed. #}
{% macro touched_orders() -%}
    select distinct store, order_id, placed_at from {{ ref('stg_orders__events') }}
    where reason is null and {{ is_new_to_this_model() }}
{%- endmacro %}

{# The dates on which the batch's orders were placed, which are the partitions of these orders. #}
{% macro placed_dates() %}{{ return(batch_dates(ref('stg_orders__events'), date='placed_date')) }}{% endmacro %}
