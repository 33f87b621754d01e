{{ config(partition_by=['measured_date']) }}

{# One row per accepted reading, by station and time: of copies, the first in the log. #}
with candidates as (

    select
        *
        {% call where_copies_may_be() %}
        , row_number() over (
            partition by identity, measured_date order by log_partition, log_offset, element_index
        ) as occurrence
        {% endcall %}
    from {{ ref('stg___name____readings') }}
    where reason is null and {{ is_new_to_this_model() }}

)

{% call where_copies_may_be() %}
{% if is_incremental() %}
, known as {{ computed_once() }}(

    select measured_date, identity from {{ this }}
    where measured_date in ({{ batch_dates(ref('stg___name____readings')) }})
        and identity in (select identity from candidates)

)
{% endif %}
{% endcall %}

select
    identity,
    station,
    source,
    product,
    number,
    value,
    amount,
    measured_at,
    measured_date,
    ingested_at,
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
        select 1 from known
        where known.measured_date = candidates.measured_date and known.identity = candidates.identity
    )
{% endif %}
{% endcall %}
