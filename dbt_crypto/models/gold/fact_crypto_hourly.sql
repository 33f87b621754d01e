{{ config(
    partition_by=['hour_date'],
    unique_key=['crypto_id', 'hour_at'],
    prune_by=['hour_date', 'hour_at']
) }}

{% set is_new = is_new_to_this_model() %}
{% set span = batch_span(ref('stg_crypto__elements'), is_new) %}
{#
    Large prices are summed with fewer decimal places, which leaves more digits before the decimal point. Small prices
    are summed with all their decimal places.
#}
{% set large_sum = "coalesce(sum(cast(price_sum as decimal(38, 18))) filter (where price_high >= 0.001), 0)" %}
{% set small_sum = "coalesce(sum(price_sum) filter (where price_high < 0.001), 0)" %}
{% set mean = "(" ~ double_of(large_sum) ~ " + " ~ double_of_price(small_sum) ~ ") / sum(price_updates)" %}
{# Hourly candles of the hours in which the batch has prices. A candle is computed from all minutes of its hour. #}
with minutes as (

    select *, date_trunc('hour', minute_at) as hour_at
    from {{ ref('crypto_prices_clean') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }})
        and minute_at >= date_trunc('hour', {{ span.first }})
        and minute_at < date_trunc('hour', {{ span.last }}) + interval 1 hour

),

touched as (

    select distinct crypto_id, date_trunc('hour', price_at) as hour_at
    from {{ ref('stg_crypto__elements') }}
    where reason is null and {{ is_new }}

)

select
    crypto_id,
    hour_at,
    {{ first_by('price_first', 'minute_at') }} as open,
    max(price_high) as high,
    min(price_low) as low,
    {{ last_by('price', 'minute_at') }} as close,
    {{ significant(mean, price_type()) }} as avg_price,
    sum(traded_volume_usd)::decimal(38, 18) as total_volume,
    sum(price_updates)::integer as price_updates,
    cast(hour_at as date) as hour_date
from minutes
inner join touched using (crypto_id, hour_at)
group by crypto_id, hour_at
