{{ config(partition_by=['ingestion_date']) }}

{# The quarantine: every rejected element with the reason, so that no input is lost. #}
select
    reason,
    rejected_element as element,
    source,
    crypto_id,
    ingested_at,
    cast(ingested_at as date) as ingestion_date,
    log_topic,
    log_partition,
    log_offset,
    element_index,
    element_count
from {{ ref('stg_crypto__elements') }}
where reason is not null and {{ is_new_to_this_model() }}
