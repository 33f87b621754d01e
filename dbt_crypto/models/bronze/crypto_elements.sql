{#
    Parses the batch once, for every model after it: what a message says, whether it can be believed, and why not.
    Judgement is a pure function of the record, so that order, batches and restarts cannot change it.
#}
with records as (

    select
        log_topic,
        log_partition,
        log_offset,
        source,
        ingested_at,
        {{ quote_numbers('payload', number_keys()) }} as message,
        left(ltrim(payload, e' \t\r\n'), 1) = '[' as is_list,
        case
            when payload is null then 'not_utf8'
            when trim(payload, e' \t\r\n') = '' then 'empty_payload'
            when strlen(payload) > {{ var('max_payload_bytes') }} then 'payload_too_large'
            when {{ has_too_many_values('payload') }} then 'payload_too_large'
        end as unreadable
    from {{ source('bronze', 'crypto_ticks_raw') }}
    where {{ batch_condition(source('bronze', 'crypto_ticks_raw')) }}

),

split_records as (

    select
        *,
        case when unreadable is null and is_list then {{ elements_of('message') }} end as listed,
        coalesce(
            unreadable,
            case when is_list then case when listed is null then 'invalid_json' when len(listed) = 0 then 'unrecognised_shape' end end
        ) as record_refusal
    from records

),

{# A record that gives no element counts as one, so that every record has its verdict. #}
elements as (

    select
        * exclude (message, unreadable, listed),
        unnest(case when record_refusal is null and is_list then listed else [message] end) as element,
        case when record_refusal is null and is_list then len(listed) else 1 end as element_count,
        case when record_refusal is null and is_list then generate_subscripts(listed, 1) - 1 else 0 end as element_index
    from split_records

),

{# Materialized, or DuckDB reads the element anew for every field that is asked of it. #}
fields as materialized (

    select *, case when record_refusal is null then {{ fields_of('element') }} end as field
    from elements

),

recognised_fields as (

    select
        *,
        case
            when record_refusal is not null then record_refusal
            when is_list then case when left(element, 1) != '{' then 'element_not_object' end
            when field is null then case when json_valid(element) then 'unrecognised_shape' else 'invalid_json' end
            when field.product is null and field.price is null then 'unrecognised_shape'
        end as refusal,
        case when refusal is null or refusal = 'element_not_object' then if(is_list, 'page', 'tick') end as format
    from fields

),

named as (

    select
        * exclude (field),
        nullif(lower(trim(case when format = 'page' then field.id else field.product end)), '') as crypto_id,
        case when format = 'tick' then nullif(trim(field.id), '') end as trade_id,
        nullif(upper(trim(case when format = 'page' then field.symbol else field.product end)), '') as symbol,
        nullif(trim(field.name), '') as name,
        nullif(trim(field.category), '') as category,
        {{ unless_below(1, "try_cast(field.market_cap_rank as integer)") }} as market_cap_rank,
        case when format = 'page' then field.current_price else field.price end as price_text,
        case when format = 'page' then field.last_updated else field.time end as event_text,
        {{ unless_below(0, decimal_of('field.total_volume')) }} as volume_24h,
        {{ unless_below(0, decimal_of('field.market_cap')) }} as market_cap,
        {{ decimal_of('field.price_change_percentage_1h_in_currency') }} as percent_change_1h,
        {{ unless_below(0, decimal_of('field.volume', 'decimal(38, 8)')) }} as traded_volume
    from recognised_fields

),

priced as (

    select
        *,
        {{ decimal_of('price_text') }} as price,
        try_cast(event_text as timestamptz) as price_at
    from named

),

judged as (

    select
        *,
        coalesce(
            refusal,
            case
                when crypto_id is null then 'missing_id'
                when price_text is null then 'missing_price'
                when price is null and not {{ is_number('price_text') }} then 'price_not_a_number'
                when try_cast(price_text as double) <= 0 then 'price_not_positive'
                when price is null or price = 0 or price > {{ var('max_price_usd') }} then 'price_out_of_range'
                when event_text is null then 'missing_time'
                when price_at is null or not isfinite(price_at) then 'invalid_time'
                when price_at < ingested_at - interval {{ var('max_event_skew_s') }} second then 'late_event'
                when price_at > ingested_at + interval {{ var('max_event_skew_s') }} second then 'future_event'
            end
        ) as reason
    from priced

)

select
    -- bronze coordinates
    log_topic,
    log_partition,
    log_offset,
    element_index::integer as element_index,
    element_count::integer as element_count,

    -- what it is about
    source,
    format,
    crypto_id,
    symbol,
    name,
    category,
    market_cap_rank,

    -- what it says
    price,
    volume_24h,
    market_cap,
    percent_change_1h,
    traded_volume,
    {{ product_of('traded_volume', 'price') }} as traded_volume_usd,

    -- when
    price_at,
    cast(price_at as date) as price_date,
    ingested_at,

    -- who it is, and whether it counts
    concat_ws(':', source, crypto_id, coalesce(trade_id, epoch_us(price_at)::varchar)) as identity,
    reason,
    case when reason is not null then left({{ unquote_numbers('element', number_keys()) }}, 10000) end as refused_element
from judged
