{#
    Parses the batch once for all models: the fields of each event, and the reason if it is rejected. The reason depends
    only on the record, so order, batches and restarts cannot change it.
#}
with records as (

    select
        log_topic,
        log_partition,
        log_offset,
        source,
        ingested_at,
        {{ quote_numbers('payload', number_keys()) }} as message,
        case
            when payload is null then 'not_utf8'
            when {{ first_character('payload') }} = '' then 'empty_payload'
            when {{ bytes_of('payload') }} > {{ var('max_payload_bytes') }} then 'payload_too_large'
            when {{ has_too_many_values('payload') }} then 'payload_too_large'
        end as unreadable
    from {{ source('bronze', 'orders_bronze') }}
    where {{ batch_condition(source('bronze', 'orders_bronze')) }}

),

enveloped_records as (

    select
        *,
        case when unreadable is null then {{ file_envelope('message') }} end as envelope,
        case when unreadable is null then {{ elements_in('message') }} end as listed
    from records

),

listed_records as (

    select
        {{ all_but('envelope') }},
        envelope.file as source_file,
        envelope.first_element,
        envelope.malformed
    from enveloped_records

),

elements as (

    {{ rows_of_list('listed_records', 'listed', 'message') }}

),

{# Materialized, because DuckDB otherwise parses the element again for each of its fields. #}
parsed as {{ computed_once() }}(

    select
        {{ all_but('element') }},
        coalesce(malformed, element) as element,
        case when unreadable is null and malformed is null then {{ event_fields('element') }} end as field,
        coalesce(
            unreadable,
            case
                when malformed is not null or not {{ is_json('element') }} then 'invalid_json'
                when {{ first_character('element') }} != '{' then 'element_not_object'
            end
        ) as unparsed
    from elements

),

named as (

    select
        {{ all_but('field, malformed') }},
        field.event,
        nullif(trim(field.event_id), '') as event_id,
        field.occurred_at as occurred_text,
        {{ order_of('field') }}.placed_at as placed_text,
        nullif(trim({{ order_of('field') }}.id), '') as order_id,
        nullif(trim({{ order_of('field') }}.store), '') as store,
        upper(nullif(trim({{ order_of('field') }}.currency), '')) as currency,
        nullif(trim({{ order_of('field') }}.status), '') as status,
        nullif(trim({{ order_of('field') }}.channel), '') as channel,
        nullif(trim({{ order_of('field') }}.customer.id), '') as customer_id,
        nullif(trim(coalesce(
            {{ order_of('field') }}.customer.name,
            concat_ws(' ', {{ order_of('field') }}.customer.first_name, {{ order_of('field') }}.customer.last_name)
        )), '') as customer_name,
        nullif(trim({{ order_of('field') }}.customer.email), '') as customer_email,
        nullif(trim({{ order_of('field') }}.customer.segment), '') as customer_segment,
        nullif(trim({{ order_of('field') }}.customer.city), '') as customer_city,
        nullif(trim({{ order_of('field') }}.customer.country), '') as customer_country,
        {{ order_of('field') }}.items as items,
        {{ typed_lines(order_of('field') ~ '.items') }} as lines,
        {{ order_of('field') }}.discount as discount_text,
        {{ order_of('field') }}.shipping as shipping_text,
        {{ order_of('field') }}.total as total_text
    from parsed

),

typed as (

    select
        *,
        {{ event_rank('event') }} as event_rank,
        {{ zoned_time('occurred_text') }} as occurred_at,
        {{ zoned_time('placed_text') }} as placed_at,
        {{ money_of("coalesce(discount_text, '0')") }} as discount,
        {{ money_of("coalesce(shipping_text, '0')") }} as shipping,
        {{ money_of('total_text') }} as total
    from named

),

summed as (

    select
        *,
        {{ cast_or_null(sum_over_lines('lines', 'line.quantity', 'bigint'), 'integer') }} as quantity,
        {{ cast_or_null(
            sum_over_lines('lines', 'line.quantity * cast(line.unit_price as decimal(28,4))', 'decimal(38,4)'),
            money_type()
        ) }} as lines_total
    from typed

),

judged as (

    select
        *,
        coalesce(
            unparsed,
            case
                when event is null or event_rank is null then 'unknown_event'
                when event_id is null then 'missing_event_id'
                when order_id is null then 'missing_order_id'
                when store is null then 'missing_store'
                when customer_id is null then 'missing_customer'
                when occurred_text is null or placed_text is null then 'missing_time'
                when occurred_at is null or not {{ is_finite('occurred_at') }} then 'invalid_time'
                when placed_at is null or not {{ is_finite('placed_at') }} then 'invalid_time'
                when placed_at < {{ first_time() }} then 'time_before_2009'
                when occurred_at > ingested_at + interval {{ var('max_event_skew_s') }} second then 'future_event'
                when placed_at > occurred_at then 'placed_after_event'
                when currency is distinct from '{{ var('currency') }}' then 'unknown_currency'
                when coalesce({{ count_in('lines') }}, 0) = 0 then 'empty_items'
                when {{ any_line('lines', 'line.product_id is null') }} then 'missing_product'
                when {{ any_line('lines', 'line.quantity is null') }} then 'quantity_not_a_number'
                when {{ any_line('lines', 'line.quantity <= 0') }} then 'quantity_not_positive'
                when {{ any_line('lines', 'line.price_text is null or not ' ~ is_number('line.price_text')) }}
                    then 'price_not_a_number'
                when {{ any_line('lines', 'line.unit_price is null') }} then 'price_out_of_range'
                when {{ any_line('lines', 'line.unit_price < 0') }} then 'price_negative'
                when total is null or discount is null or shipping is null then 'amount_not_a_number'
                when abs(total) > {{ var('max_amount') }} or lines_total is null or quantity is null
                    then 'amount_out_of_range'
                when lines_total - discount + shipping != total then 'total_mismatch'
            end
        ) as reason
    from summed

)

select
    -- bronze coordinates
    log_topic,
    log_partition,
    log_offset,
    element_index::integer as element_index,
    element_count::integer as element_count,

    -- origin, event and order
    source,
    source_file,
    first_element + element_index as file_position,
    event,
    event_rank::integer as event_rank,
    event_id,
    store,
    order_id,
    customer_id,
    customer_name,
    customer_email,
    customer_segment,
    customer_city,
    customer_country,

    -- values
    status,
    channel,
    case when reason is null then {{ lines_as_json('lines') }} end as lines,
    quantity,
    discount,
    shipping,
    total,
    case when event = 'order_created' then total end as placed_amount,

    -- times
    placed_at,
    cast(placed_at as date) as placed_date,
    occurred_at,
    cast(occurred_at as date) as occurred_date,
    ingested_at,

    -- identity, and the reason if the event is rejected
    cast(null as bigint) as event_number,
    cast(null as string) as product,
    event_id as identity,
    reason,
    case
        when reason is not null then left({{ unquote_numbers('element', number_keys()) }}, 10000)
    end as rejected_element
from judged
