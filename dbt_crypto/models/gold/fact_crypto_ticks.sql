{{ config(
    partition_by=['price_date'],
    prune_by=['price_date', 'price_at'],
    helper_columns=['is_correction'],
    replace_when='is_correction',
    replace_on='s.is_correction and t.log_topic = s.log_topic and t.log_partition = s.log_partition
        and t.log_offset = s.log_offset and t.element_index = s.element_index'
) }}

{#
    One row per price update in crypto_price_updates. If the source gives no change over one hour, it is computed
    against the close of the coin's latest minute that ended at least one hour and less than two hours before (the
    "minute before"). A late update can change this minute after facts were written. Facts from 61 to 121 minutes after
    its start are then written again.
#}
{% set is_new = is_new_to_this_model() %}
{% set span = batch_span(ref('stg_crypto__elements'), is_new) %}
{% set change = double_of_price('(facts.price - minutes.price)') ~ ' / ' ~ double_of_price('minutes.price') %}
with new_updates as (

    select * from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }}) and {{ is_new }}

),

touched as (

    select distinct crypto_id, date_trunc('minute', price_at) as minute_at
    from {{ ref('stg_crypto__elements') }}
    where reason is null and {{ is_new }}

),

{# Earlier updates whose "minute before" may be one of the minutes that the batch changes. #}
earlier_updates as (

    select * from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements'), days_after=1) }})
        and price_at >= date_trunc('minute', {{ span.first }}) + interval 61 minute
        and price_at < date_trunc('minute', {{ span.last }}) + interval 121 minute
        and percent_change_1h is null
        and {{ is_in_this_model() }}

),

facts as (

    select *, false as is_correction from new_updates

    {% if is_incremental() %}
    union all

    select earlier_updates.*, true as is_correction
    {{ from_rows_with_a_minute_before('earlier_updates', 'touched') }}
    {% endif %}

),

minutes as (

    select crypto_id, minute_at, price
    from {{ ref('crypto_prices_clean') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements'), days_before=1, days_after=1) }})
        and minute_at > {{ span.first }} - interval 121 minute and minute_at < {{ span.last }} + interval 60 minute

)

select
    -- keys
    facts.crypto_id,
    {{ minutes_since_epoch('facts.price_at') }} as time_id,

    -- measures
    facts.price as price_usd,
    facts.volume_24h,
    facts.market_cap,
    coalesce(
        facts.percent_change_1h,
        case when facts.price_at < minutes.minute_at + interval 121 minute then {{ significant('100 * ' ~ change) }} end
    ) as percent_change_1h,
    facts.traded_volume_usd,
    facts.dropped_figures,

    -- time and origin
    facts.price_at,
    facts.price_date,
    facts.source,
    facts.product,
    facts.trade_number,
    facts.log_topic,
    facts.log_partition,
    facts.log_offset,
    facts.element_index,
    facts.is_correction
{{ from_rows_and_the_minute_before('facts', 'minutes') }}
