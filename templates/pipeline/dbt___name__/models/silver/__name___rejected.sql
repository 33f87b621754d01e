{{ config(partition_by=['ingestion_date']) }}

{# Every rejected element with its reason, so that no input is lost. #}
select
    reason,
    rejected_element as element,
    source,
    station,
    ingested_at,
    cast(ingested_at as date) as ingestion_date,
    log_topic,
    log_partition,
    log_offset,
    element_index,
    element_count
from {{ ref('stg___name____readings') }}
where reason is not null and {{ is_new_to_this_model() }}
