{#
    Reconciliation of silver, record by record: elements of bronze = accepted + duplicates + rejected, and each element
    is in exactly one table. Elements are counted again from the payloads, only up to the offsets that all three tables
    have consumed.
#}
{% set tables = [ref('crypto_price_updates'), ref('crypto_price_duplicates'), ref('crypto_prices_rejected')] %}
with records as (

    select
        log_topic,
        log_partition,
        log_offset,
        {{ count_of_elements('payload') }} as element_count
    from {{ source('bronze', 'crypto_ticks_raw') }}
    where {{ consumed_by_all(tables) }}

),

oldest_records as (

    select log_topic, log_partition, min(log_offset) as log_offset
    from {{ source('bronze', 'crypto_ticks_raw') }}
    group by log_topic, log_partition

),

elements as (

    {% for table in tables %}
    select log_topic, log_partition, log_offset, element_index, element_count
    from {{ table }}
    where {{ consumed_by_all(tables) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

booked_records as (

    select
        log_topic,
        log_partition,
        log_offset,
        count(*) as booked_count,
        count(distinct element_index) as distinct_count,
        min(element_index) as first_index,
        max(element_index) as last_index,
        min(element_count) as least_said,
        max(element_count) as most_said
    from elements
    -- retention drops records from bronze, not from silver
    semi join oldest_records
        on elements.log_topic = oldest_records.log_topic
        and elements.log_partition = oldest_records.log_partition
        and elements.log_offset >= oldest_records.log_offset
    -- silver also keeps rows of records that bronze has lost and whose loss a person has acknowledged
    where not {{ is_lost(source('bronze', 'crypto_ticks_raw')) }}
    group by log_topic, log_partition, log_offset

)

select *
from records
full join booked_records using (log_topic, log_partition, log_offset)
where booked_count is distinct from element_count
    or distinct_count is distinct from element_count
    or first_index is distinct from 0
    or last_index is distinct from element_count - 1
    or least_said is distinct from element_count
    or most_said is distinct from element_count
