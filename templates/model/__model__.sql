{{ config(materialized='incremental') }}

{#
    __model__: describe in one sentence what a row is. Rows of the batch are read from the staging model;
    `is_new_to_this_model()` selects what this table has not consumed, so that an interrupted run continues there.
#}
select
    log_topic,
    log_partition,
    log_offset,
    element_index
from {{ ref('__staging__') }}
where reason is null and {{ is_new_to_this_model() }}
