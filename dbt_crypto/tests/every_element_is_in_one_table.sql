{#
    The books of silver: elements of bronze = accepted + duplicates + refused, record by record, each element once. Elements are
    counted anew from the payloads, and only up to where all three tables have come in the log.
#}
{% set tables = [ref('crypto_price_updates'), ref('crypto_price_duplicates'), ref('crypto_prices_rejected')] %}
with records as (

    select
        log_topic,
        log_partition,
        log_offset,
        case
            when strlen(payload) > {{ var('max_payload_bytes') }}
                or strlen(payload) - strlen(replace(payload, ',', '')) > {{ var('max_payload_values') }} then 1
            when ltrim(payload, e' \t\r\n') like '[%' then greatest(coalesce(try(json_array_length(payload)), 1), 1)
            when try(payload ->> '$.backfill') in ('aggTrades', 'trades') then greatest(coalesce(try(json_array_length(payload, '$.body')), 1), 1)
            when try(payload ->> '$.backfill') = 'Trades' then greatest(coalesce(try(len(payload -> '$.body.result.*[*]')), 1), 1)
            when try(payload ->> '$.channel') = 'trade' then greatest(coalesce(try(json_array_length(payload, '$.data')), 1), 1)
            else 1
        end as element_count
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
    select log_topic, log_partition, log_offset, element_index, element_count from {{ table }} where {{ consumed_by_all(tables) }}
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
    group by log_topic, log_partition, log_offset

)

select *
from records
full join booked_records using (log_topic, log_partition, log_offset)
where (booked_count, distinct_count, first_index, last_index, least_said, most_said)
    is distinct from (element_count, element_count, 0, element_count - 1, element_count, element_count)
