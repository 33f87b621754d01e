{{ config(partition_by=['price_date']) }}

{#
    One row per accepted price. Of elements with the same identity the first in the log is accepted, however late the
    others arrive. Identities are compared only within one event date, because the date is part of the identity (some
    venues restart their trade numbers). The table is searched by trade number first, because numbers take a quarter of
    the bytes of identities. Rows that earlier versions of Coinlake wrote are found by former_identity.
#}
with candidates as (

    select
        *
        {% call where_copies_may_be() %}
        , row_number() over (
            partition by identity, price_date order by log_partition, log_offset, element_index
        ) as occurrence
        {% endcall %}
    from {{ ref('stg_crypto__elements') }}
    where reason is null and {{ is_new_to_this_model() }}

)

{% call where_copies_may_be() %}
{% if is_incremental() %}
, known as {{ computed_once() }}(

    select price_date, identity from {{ this }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }})
        and trade_number in (select trade_number from candidates)

    union all

    select price_date, identity from {{ this }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }})
        and trade_number is null and identity in (select identity from candidates)

)
{% endif %}
{% endcall %}

select
    -- keys
    identity,
    crypto_id,
    coalesce(symbol, {{ symbol_of_id('crypto_id') }}) as symbol,
    source,
    product,
    trade_number,
    is_mapped,
    is_backfill,

    -- values
    price,
    volume_24h,
    market_cap,
    percent_change_1h,
    traded_volume,
    traded_volume_usd,
    dropped_figures,

    -- times
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
{% call where_copies_may_be() %}
where occurrence = 1
{% if is_incremental() %}
    and not exists (
        select 1 from known where known.price_date = candidates.price_date and known.identity = candidates.identity
    )
    and not exists (
        select 1 from known where known.price_date = candidates.price_date and known.identity = candidates.former_identity
    )
{% endif %}
{% endcall %}
