{{ config(
    partition_by=['price_date'],
    unique_key=['crypto_id', 'minute_at'],
    prune_by=['price_date', 'minute_at']
) }}

{% set is_new = is_new_to_this_model() %}
{% set span = batch_span(ref('stg_crypto__elements'), is_new) %}
{#
    The minutes in which the batch has prices. Each minute is computed from all its price updates, so the order of
    arrival does not matter.
#}
with updates as (

    select
        *,
        date_trunc('minute', price_at) as minute_at,
        {{ tuple_of(event_order() | join(', ')) }} as position
    from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }})
        and price_at >= date_trunc('minute', {{ span.first }})
        and price_at < date_trunc('minute', {{ span.last }}) + interval 1 minute

),

touched as (

    select distinct crypto_id, date_trunc('minute', price_at) as minute_at
    from {{ ref('stg_crypto__elements') }}
    where reason is null and {{ is_new }}

)

select
    crypto_id,
    {{ last_by('symbol', 'position') }} as symbol,
    minute_at,
    {{ last_by('price', 'position') }} as price,
    {{ first_by('price', 'position') }} as price_first,
    max(price) as price_high,
    min(price) as price_low,
    max(price_at) as price_at,
    {{ last_by('volume_24h', 'position') }} as volume_24h,
    {{ last_by('market_cap', 'position') }} as market_cap,
    -- trades of 1e12 dollars and more are left out: the sum can hold a hundred million smaller trades
    sum(case when traded_volume_usd < 1000000000000 then traded_volume_usd end)::decimal(38, 18) as traded_volume_usd,
    sum(price)::{{ price_type() }} as price_sum,
    count(*)::integer as price_updates,
    {{ last_by('source', 'position') }} as source,
    cast(minute_at as date) as price_date
from updates
inner join touched using (crypto_id, minute_at)
group by crypto_id, minute_at
