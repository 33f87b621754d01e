{#
    Parses the batch once for all models: one row per element of an answer, and the reason if it is rejected. The
    verdict depends on the record alone. An answer is a JSON array of objects such as
    {"station": "A", "value": 21.5, "at": "2026-03-01T12:00:00Z"}.
#}
with records as (

    select
        log_topic, log_partition, log_offset, source, ingested_at,
        {{ quote_numbers('payload', ['value']) }} as message,
        case
            when payload is null then 'not_utf8'
            when {{ bytes_of('payload') }} > {{ var('max_payload_bytes') }} then 'payload_too_large'
            when {{ has_too_many_values('payload') }} then 'payload_too_large'
            when not {{ is_json('payload') }} then 'invalid_json'
            when {{ first_character('payload') }} != '[' then 'not_a_list'
        end as unreadable
    from {{ source('bronze', '__name___raw') }}
    where {{ batch_condition(source('bronze', '__name___raw')) }}

),

listed_records as (

    select *, case when unreadable is null then {{ json_elements('message') }} end as listed from records

),

elements as (

    {{ rows_of_list('listed_records', 'listed', 'message') }}

),

{# Materialized, because DuckDB otherwise parses the element again for each of its fields. #}
fields as {{ computed_once() }}(

    select *, case when unreadable is null then {{ json_fields('element', ['station', 'value', 'at']) }} end as field
    from elements

),

typed as (

    select
        *,
        nullif(trim(field.station), '') as station,
        field.value as value_text,
        {{ decimal_of('field.value') }} as value,
        {{ time_of('field.at') }} as measured_at
    from fields

),

judged as (

    select
        *,
        coalesce(
            unreadable,
            case
                when station is null then 'missing_station'
                when value is null then 'value_not_a_number'
                when measured_at is null or not {{ is_finite('measured_at') }} then 'invalid_time'
                when measured_at > ingested_at + interval {{ var('max_event_skew_s') }} second then 'future_reading'
            end
        ) as reason
    from typed

)

select
    log_topic,
    log_partition,
    log_offset,
    element_index::integer as element_index,
    element_count::integer as element_count,
    source,
    station,
    cast(null as varchar) as product,
    cast(null as bigint) as number,
    value,
    cast(null as decimal(38, 18)) as amount,
    measured_at,
    cast(measured_at as date) as measured_date,
    ingested_at,
    concat_ws(':', source, station, {{ microseconds_since_epoch('measured_at') }}::string) as identity,
    reason,
    case when reason is not null then left({{ unquote_numbers('element', ['value']) }}, 10000) end as rejected_element
from judged
