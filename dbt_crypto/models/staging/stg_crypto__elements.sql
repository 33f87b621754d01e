{#
    Parses the batch once for all models: the values of each element, and the reason if it is rejected. The reason
    depends only on the record, so order, batches and restarts cannot change it. crypto_products maps products to coins.
#}
with records as (

    select
        log_topic,
        log_partition,
        log_offset,
        source,
        ingested_at,
        {{ lossless('payload') }} as message,
        {{ first_character('payload') }} = '[' as is_list,
        case
            when payload is null then 'not_utf8'
            when {{ first_character('payload') }} = '' then 'empty_payload'
            when {{ bytes_of('payload') }} > {{ var('max_payload_bytes') }} then 'payload_too_large'
            when {{ has_too_many_values('payload') }} then 'payload_too_large'
        end as unreadable
    from {{ source('bronze', 'crypto_ticks_raw') }}
    where {{ batch_condition(source('bronze', 'crypto_ticks_raw')) }}

),

enveloped_records as (

    select *, case when unreadable is null and not is_list then {{ envelope_of('message') }} end as envelope
    from records

),

formatted_records as (

    select
        {{ all_but('is_list, envelope') }},
        case when unreadable is null then {{ listed_format('is_list', 'envelope') }} end as list_format,
        coalesce(list_format is not null and envelope.backfill is not null, false) as is_backfill,
        case when is_backfill then envelope.product end as envelope_product
    from enveloped_records

),

split_records as (

    select
        *,
        {{ elements_of('message', 'list_format', 'is_backfill') }} as listed,
        coalesce(
            unreadable,
            case when list_format is not null then
                case
                    when listed is null then 'invalid_json'
                    when {{ count_in('listed') }} = 0 then 'unrecognised_shape'
                end
            end
        ) as record_rejection
    from formatted_records

),

elements as (

    {{ rows_of_elements('split_records') }}

),

{# Materialized, because DuckDB otherwise parses the element again for each of its fields. #}
fields as {{ computed_once() }}(

    select
        *,
        case
            when record_rejection is null and (list_format is distinct from 'trade_row') then {{ fields_of('element') }}
        end as field,
        case
            when record_rejection is null and list_format = 'trade_row' then {{ values_of('element') }}
        end as row_values
    from elements

),

recognised_fields as (

    select
        *,
        case when record_rejection is null then coalesce(list_format, {{ single_format('field') }}) end as format,
        case
            when record_rejection is not null then record_rejection
            when list_format = 'trade_row' then case when left(element, 1) != '[' then 'element_not_object' end
            when list_format is not null then case when left(element, 1) != '{' then 'element_not_object' end
            when field is null then case when {{ is_json('element') }} then 'unrecognised_shape' else 'invalid_json' end
            when format is null and {{ names_another_kind('field') }} then 'not_a_trade'
            when format is null then 'unrecognised_shape'
        end as refusal
    from fields

),

named as (

    select
        {{ all_but('field, row_values') }},
        nullif(trim(field.id), '') as given_id,
        nullif(trim(coalesce(envelope_product, {{ by_format({
            'tick': 'field.product',
            'agg_trade': 'coalesce(field.data.s, field.s)',
            'match': 'field.product_id',
            'trade': 'field.symbol',
        }) }})), '') as product_name,
        nullif(trim({{ by_format({
            'tick': 'field.id',
            'agg_trade': 'coalesce(field.data.a, field.a)',
            'match': 'field.trade_id',
            'trade': 'field.trade_id',
            'trade_row': value_at('row_values', 7),
        }) }}), '') as trade_id,
        -- Binance has used the id of an aggregate trade twice: the id of its first trade distinguishes the two
        case when format = 'agg_trade' then nullif(trim(coalesce(field.data.f, field.f)), '') end as first_trade_id,
        case when format = 'page' then nullif(upper(trim(field.symbol)), '') end as given_symbol,
        nullif(trim(field.name), '') as name,
        nullif(trim(field.category), '') as category,
        {{ unless_below(1, integer_of('field.market_cap_rank')) }} as market_cap_rank,
        {{ by_format({
            'page': 'field.current_price',
            'tick': 'field.price',
            'agg_trade': 'coalesce(field.data.p, field.p)',
            'match': 'field.price',
            'trade': 'field.price',
            'trade_row': value_at('row_values', 1),
        }) }} as price_text,
        {{ by_format({
            'tick': 'field.volume',
            'agg_trade': 'coalesce(field.data.q, field.q)',
            'match': 'field.size',
            'trade': 'field.qty',
            'trade_row': value_at('row_values', 2),
        }) }} as volume_text,
        {{ by_format({
            'page': 'field.last_updated',
            'tick': 'field.time',
            'agg_trade': 'coalesce(field.data.T, field.T)',
            'match': 'field.time',
            'trade': 'field.timestamp',
            'trade_row': value_at('row_values', 3),
        }) }} as event_text,
        field.total_volume as volume_24h_text,
        field.market_cap as market_cap_text,
        field.price_change_percentage_1h_in_currency as percent_change_1h_text
    from recognised_fields

),

numbered as (

    select
        *,
        {{ product_of_name('product_name') }} as product,
        case when {{ matches('trade_id', '0|[1-9][0-9]{0,18}') }} then try_cast(trade_id as bigint) end as trade_number
    from named

),

{#
    The coin's id is on the page, or crypto_products maps the product to it. A product that is not mapped is a separate
    coin of its source.
#}
identified as (

    select
        numbered.*,
        coalesce(
            products.crypto_id,
            case
                when numbered.format = 'page' then lower(numbered.given_id)
                when {{ is_exchange_product('numbered') }}
                    then {{ id_of_product('numbered.source', 'numbered.product') }}
                else lower(numbered.product_name)
            end
        ) as crypto_id,
        coalesce(products.symbol, numbered.given_symbol, numbered.product) as symbol,
        case
            when products.crypto_id is not null then true
            when {{ is_exchange_product('numbered') }} and numbered.source in ({{ mapped_sources() }}) then false
        end as is_mapped
    from numbered
    left join {{ ref('crypto_products') }} as products
        on numbered.source = products.source and numbered.product = products.product

),

priced as (

    select
        *,
        {{ decimal_of('volume_24h_text', amount_type()) }} as given_volume_24h,
        {{ decimal_of('market_cap_text', amount_type()) }} as given_market_cap,
        {{ decimal_of('percent_change_1h_text') }} as percent_change_1h,
        {{ decimal_of('price_text', price_type()) }} as price,
        {{ decimal_of('volume_text', amount_type()) }} as given_volume,
        {{ event_time('event_text') }} as price_at
    from identified

),

judged as (

    select
        *,
        {{ unless_below(0, 'given_volume_24h') }} as volume_24h,
        {{ unless_below(0, 'given_market_cap') }} as market_cap,
        {{ unless_below(0, 'given_volume') }} as traded_volume,
        coalesce(
            refusal,
            case
                when crypto_id is null then 'missing_id'
                when price_text is null then 'missing_price'
                when price is null and not {{ is_number('price_text') }} then 'price_not_a_number'
                when try_cast(price_text as double) <= 0 then 'price_not_positive'
                when price is null or price = 0 or price > {{ var('max_price_usd') }} then 'price_out_of_range'
                when event_text is null then 'missing_time'
                when price_at is null or not {{ is_finite('price_at') }} then 'invalid_time'
                when price_at < {{ first_time() }} then 'time_before_2009'
                -- a backfill is always late
                when price_at < ingested_at - interval {{ var('max_event_skew_s') }} second and not is_backfill
                    then 'late_event'
                when price_at > ingested_at + interval {{ var('max_event_skew_s') }} second then 'future_event'
            end
        ) as reason
    from priced

),

valued as (

    select
        *,
        -- a product that is not mapped may be quoted in another currency than dollars
        case
            when (is_mapped is distinct from false) then {{ value_of('traded_volume', 'price') }}
        end as traded_volume_usd
    from judged

)

select
    -- bronze coordinates
    log_topic,
    log_partition,
    log_offset,
    element_index::integer as element_index,
    element_count::integer as element_count,

    -- source and coin
    source,
    format,
    is_backfill,
    product,
    is_mapped,
    crypto_id,
    symbol,
    name,
    category,
    market_cap_rank,

    -- values
    price,
    volume_24h,
    market_cap,
    percent_change_1h,
    traded_volume,
    traded_volume_usd,
    nullif(concat_ws(
        ',',
        {{ name_if_dropped('volume_24h', 'volume_24h_text', 'volume_24h') }},
        {{ name_if_dropped('market_cap', 'market_cap_text', 'market_cap') }},
        {{ name_if_dropped('percent_change_1h', 'percent_change_1h_text', 'percent_change_1h') }},
        {{ name_if_dropped('traded_volume', 'volume_text', 'traded_volume') }},
        case
            when (is_mapped is distinct from false)
                then {{ name_if_dropped('traded_volume_usd', 'traded_volume', 'traded_volume_usd') }}
        end,
        case when {{ is_rounded('price_text', 'price') }} then 'price_digits' end
    ), '') as dropped_figures,

    -- times
    price_at,
    cast(price_at as date) as price_date,
    ingested_at,

    -- identity, and the reason if the element is rejected
    trade_number,
    concat_ws(
        ':',
        source,
        coalesce(product, crypto_id),
        coalesce(trade_id || coalesce(':' || first_trade_id, ''), {{ microseconds_since_epoch('price_at') }}::string)
    ) as identity,
    -- the identity in tables that were filled before first_trade_id was part of it
    case
        when first_trade_id is not null then concat_ws(':', source, coalesce(product, crypto_id), trade_id)
    end as former_identity,
    reason,
    case
        when reason is not null then left({{ unquote_numbers('element', number_keys()) }}, 10000)
    end as rejected_element
from valued
