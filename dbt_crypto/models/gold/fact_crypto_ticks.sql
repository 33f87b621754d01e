{{ config(
    partition_by=['price_date'],
    prune_by=['price_date', 'price_at'],
    helper_columns=['is_correction'],
    replace_on='s.is_correction and t.log_topic = s.log_topic and t.log_partition = s.log_partition
        and t.log_offset = s.log_offset and t.element_index = s.element_index'
) }}

{#
    One row per price update that silver keeps. Where the source gives no change over an hour, our own prices do: against the
    price in effect an hour before, if that is less than an hour old. A late update can be that price for facts already
    written, so those between one and two hours after it are written anew.
#}
with updates as (

    select * from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('crypto_elements'), days_before=1, days_after=1) }})

),

new_updates as (

    select * from updates where {{ is_new_to_this_model() }}

),

new_spans as (

    select crypto_id, min(price_at) as first_at, max(price_at) as last_at from new_updates group by crypto_id

),

facts as (

    select *, false as is_correction from new_updates

    {% if is_incremental() %}
    union all

    select updates.*, true as is_correction
    from updates
    inner join new_spans using (crypto_id)
    where not {{ is_new_to_this_model() }}
        and updates.percent_change_1h is null
        and updates.price_at between new_spans.first_at + interval 1 hour and new_spans.last_at + interval 2 hour
    {% endif %}

),

prices_in_effect as (

    select crypto_id, price_at as effective_at, arg_max(price, row(log_partition, log_offset, element_index)) as price_then
    from updates
    group by crypto_id, price_at

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
        case when prices_in_effect.effective_at > facts.price_at - interval 2 hour then
            {{ significant('100 * (facts.price - prices_in_effect.price_then)::double / prices_in_effect.price_then::double') }}
        end
    ) as percent_change_1h,
    facts.traded_volume_usd,

    -- when and whence
    facts.price_at,
    facts.price_date,
    facts.source,
    facts.log_topic,
    facts.log_partition,
    facts.log_offset,
    facts.element_index,
    facts.is_correction
from facts
asof left join prices_in_effect
    on facts.crypto_id = prices_in_effect.crypto_id
    and facts.price_at - interval 1 hour >= prices_in_effect.effective_at
