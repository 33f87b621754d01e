{{ config(partition_by=['measured_date']) }}

{# Every valid reading whose station and time were already taken. A copy with another value is a conflict. #}
with kept as (

    select measured_date, log_topic, log_partition, log_offset, element_index, identity
    from {{ ref('__name___readings') }}
    where measured_date in ({{ batch_dates(ref('stg___name____readings')) }}) and {{ is_new_to_this_model() }}

),

copies as (

    select readings.*
    from {{ ref('stg___name____readings') }} as readings
    left join kept
        on readings.measured_date = kept.measured_date
        and readings.log_topic = kept.log_topic
        and readings.log_partition = kept.log_partition
        and readings.log_offset = kept.log_offset
        and readings.element_index = kept.element_index
    where readings.reason is null
        and kept.identity is null
        and {{ is_new_to_this_model() | replace('log_', 'readings.log_') }}

),

originals as {{ computed_once() }}(

    select measured_date, identity, value
    from {{ ref('__name___readings') }}
    where measured_date in ({{ batch_dates(ref('stg___name____readings')) }})
        and identity in (select identity from copies)

)

select
    copies.identity,
    copies.station,
    copies.source,
    copies.value,
    (copies.value is distinct from originals.value) as is_conflicting,
    copies.measured_at,
    copies.measured_date,
    copies.ingested_at,
    copies.log_topic,
    copies.log_partition,
    copies.log_offset,
    copies.element_index,
    copies.element_count
from copies
left join originals on copies.measured_date = originals.measured_date and copies.identity = originals.identity
