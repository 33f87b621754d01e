{#
    Reconciliation of silver, record by record: events of bronze = accepted + duplicates + rejected, and each event is
    in exactly one table. Events are counted again from the payloads, only up to the offsets that all three tables have
    consumed.
#}
{% set tables = [ref('order_events'), ref('order_duplicates'), ref('orders_rejected')] %}
with records as (

    select log_topic, log_partition, log_offset, {{ count_of_elements('payload') }} as element_count
    from {{ source('bronze', 'orders_bronze') }}
    where {{ consumed_by_all(tables) }}

),

oldest_records as (

    select log_topic, log_partition, min(log_offset) as log_offset
    from {{ source('bronze', 'orders_bronze') }}
    group by log_topic, log_partition

),

events as (

    {% for table in tables %}
    select log_topic, log_partition, log_offset, element_index, element_count
    from {{ table }}
    where {{ consumed_by_all(tables) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted_records as (

    select
        log_topic,
        log_partition,
        log_offset,
        count(*) as counted,
        count(distinct element_index) as distinct_count,
        min(element_count) as least_element_count,
        max(element_count) as greatest_element_count
    from events
    -- retention drops records from bronze, not from silver
    semi join oldest_records
        on events.log_topic = oldest_records.log_topic
        and events.log_partition = oldest_records.log_partition
        and events.log_offset >= oldest_records.log_offset
    where not {{ is_lost(source('bronze', 'orders_bronze')) }}
    group by log_topic, log_partition, log_offset

)

select *
from records
full join counted_records using (log_topic, log_partition, log_offset)
where counted is distinct from element_count
    or distinct_count is distinct from element_count
    or least_element_count is distinct from element_count
    or greatest_element_count is distinct from element_count
