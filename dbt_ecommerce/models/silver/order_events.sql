{{ config(partition_by=['occurred_date']) }}

{#
    One row per accepted event: of the copies with one id, the first in the log. Copies are searched for only on the
    event's date, because the date is part of an event's identity.
#}
with candidates as (

    select
        *
        {% call where_copies_may_be() %}
        , row_number() over (partition by identity, occurred_date order by log_partition, log_offset, element_index) as occurrence
        {% endcall %}
    from {{ ref('stg_orders__events') }}
    where reason is null and {{ is_new_to_this_model() }}

)

{% call where_copies_may_be() %}
{% if is_incremental() %}
, known as {{ computed_once() }}(

    select occurred_date, identity from {{ this }}
    where occurred_date in ({{ batch_dates(ref('stg_orders__events')) }}) and identity in (select identity from candidates)

)
{% endif %}
{% endcall %}

select
    -- keys
    identity,
    store,
    order_id,
    customer_id,

    -- values
    event,
    event_rank,
    status,
    channel,
    customer_name,
    customer_email,
    customer_segment,
    customer_city,
    customer_country,
    lines,
    quantity,
    discount,
    shipping,
    total,
    placed_amount,

    -- times
    placed_at,
    placed_date,
    occurred_at,
    occurred_date,
    ingested_at,
    occurred_at < ingested_at - interval {{ var('late_after_s') }} second as is_late,

    -- origin
    source,
    source_file,
    file_position,
    event_number,
    product,

    -- bronze coordinates
    log_topic,
    log_partition,
    log_offset,
    element_index,
    element_count
from candidates
{% call where_copies_may_be() %}
where occurrence = 1
{% if is_incremental() %}
    and not exists (
        select 1 from known where known.occurred_date = candidates.occurred_date and known.identity = candidates.identity
    )
{% endif %}
{% endcall %}
