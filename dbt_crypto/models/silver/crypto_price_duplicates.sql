{{ config(partition_by=['price_date']) }}

{# Every believable element whose identity was already taken: the other half of "counts once". #}
with kept as (

    select price_date, log_topic, log_partition, log_offset, element_index, identity
    from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('crypto_elements')) }}) and {{ is_new_to_this_model() }}

)

select
    elements.identity,
    elements.crypto_id,
    elements.source,
    elements.price_at,
    elements.price_date,
    elements.ingested_at,
    elements.log_topic,
    elements.log_partition,
    elements.log_offset,
    elements.element_index,
    elements.element_count
from {{ ref('crypto_elements') }} as elements
left join kept
    on elements.price_date = kept.price_date
    and elements.log_topic = kept.log_topic
    and elements.log_partition = kept.log_partition
    and elements.log_offset = kept.log_offset
    and elements.element_index = kept.element_index
where elements.reason is null
    and kept.identity is null
    and {{ is_new_to_this_model() | replace('log_', 'elements.log_') }}
