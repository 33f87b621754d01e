{{ config(partition_by=['price_date']) }}

{#
    Every valid element whose event is already in crypto_price_updates. Its values are kept and compared with the
    accepted row: a duplicate with other values is a conflict. Times may differ by less than a millisecond, because
    sources give the time of one trade with more or fewer digits. Of pages only the price is compared: the page's time
    identifies the price, and figures of the last 24 hours change while this time stays the same.
#}
{% set values = ['price', 'volume_24h', 'market_cap', 'percent_change_1h', 'traded_volume'] %}
with kept as (

    select price_date, log_topic, log_partition, log_offset, element_index, identity
    from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }}) and {{ is_new_to_this_model() }}

),

copies as (

    select elements.*
    from {{ ref('stg_crypto__elements') }} as elements
    left join kept
        on elements.price_date = kept.price_date
        and elements.log_topic = kept.log_topic
        and elements.log_partition = kept.log_partition
        and elements.log_offset = kept.log_offset
        and elements.element_index = kept.element_index
    where elements.reason is null
        and kept.identity is null
        and {{ is_new_to_this_model() | replace('log_', 'elements.log_') }}

),

known as {{ computed_once() }}(

    select price_date, identity, price_at, {{ values | join(', ') }}
    from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }})
        and trade_number in (select trade_number from copies)

    union all

    select price_date, identity, price_at, {{ values | join(', ') }}
    from {{ ref('crypto_price_updates') }}
    where price_date in ({{ batch_dates(ref('stg_crypto__elements')) }})
        and trade_number is null and identity in (select identity from copies)

),

former as (

    select distinct price_date, identity, former_identity from copies where former_identity is not null

),

{#
    The accepted rows by the identity of their copies, `repeated_identity`. `identity` is the identity of the accepted
    row, which is the former one in rows that earlier versions of Coinlake wrote.
#}
originals as (

    select *, identity as repeated_identity from known

    union all

    select known.*, former.identity as repeated_identity
    from known
    inner join former on known.price_date = former.price_date and known.identity = former.former_identity

)

select
    -- keys
    coalesce(originals.identity, copies.identity) as identity,
    copies.crypto_id,
    copies.source,

    -- values, and whether they differ from the accepted row
    {% for value in values %}
    copies.{{ value }},
    {% endfor %}
    (
        copies.price is distinct from originals.price
        or (
            copies.format is distinct from 'page'
            and (
                {% for value in values[1:] %}
                {{ 'or ' if not loop.first }}copies.{{ value }} is distinct from originals.{{ value }}
                {% endfor %}
            )
        )
        or abs(
            {{ microseconds_since_epoch('copies.price_at') }} - {{ microseconds_since_epoch('originals.price_at') }}
        ) >= 1000
    ) as is_conflicting,

    -- times
    copies.price_at,
    copies.price_date,
    copies.ingested_at,

    -- bronze coordinates
    copies.log_topic,
    copies.log_partition,
    copies.log_offset,
    copies.element_index,
    copies.element_count
from copies
left join originals on copies.price_date = originals.price_date and copies.identity = originals.repeated_identity
