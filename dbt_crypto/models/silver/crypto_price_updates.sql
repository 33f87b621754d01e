{{ config(partition_by=['price_date']) }}

{#
    One row per price that counts, by identity: the first in the log wins, however late the next one comes. Identities of one
    day are enough to look at, because the event's date is part of being the same event (some venues start their trade ids anew).
#}
with candidates as (

    select
        *,
        row_number() over (partition by identity, price_date order by log_partition, log_offset, element_index) as occurrence
    from {{ ref('crypto_elements') }}
    where reason is null and {{ is_new_to_this_model() }}

)

select
    -- keys
    identity,
    crypto_id,
    coalesce(symbol, upper(crypto_id)) as symbol,
    source,
    product,
    trade_number,
    is_mapped,
    is_backfill,

    -- what it says
    price,
    volume_24h,
    market_cap,
    percent_change_1h,
    traded_volume,
    traded_volume_usd,

    -- when
    price_at,
    price_date,
    ingested_at,

    -- bronze coordinates
    log_topic,
    log_partition,
    log_offset,
    element_index,
    element_count
from candidates
where occurrence = 1
{% if is_incremental() %}
    and not exists (
        select 1 from {{ this }} as known
        where known.price_date in ({{ batch_dates(ref('crypto_elements')) }})
            and known.price_date = candidates.price_date and known.identity = candidates.identity
    )
{% endif %}
