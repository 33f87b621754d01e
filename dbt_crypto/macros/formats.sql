{#
    Message formats. A format is recognised by the shape of a message, not by the name of its source. A message is split
    into elements (one per price), and an element into the fields below; all later steps are the same for every format.

      page        an array of objects, such as CoinGecko's /coins/markets: one element per coin, and a listing of coins
      tick        one object with a product, a price and a time
      agg_trade   Binance's aggregate trade, bare or as the `data` of a combined stream
      match       Coinbase's trade
      trade       Kraken's trades: an object with the channel `trade`, one element per entry of its `data`
      trade_row   the same trades from Kraken's REST API: one array of values per trade

    A backfill holds trades that a feed missed and that were read from the exchange's REST API. It arrives in an
    envelope {"product", "backfill", "body"}: the requested product, the API route, and the response body as received.
    Each trade in the body is one element.
#}
{% macro number_keys() %}
    {{ return([
        'current_price', 'market_cap', 'total_volume', 'price_change_percentage_1h_in_currency', 'price', 'volume', 'size', 'qty', 'p', 'q'
    ]) }}
{% endmacro %}

{# The sources that crypto_products maps, as a comma-separated list of SQL strings. #}
{% macro mapped_sources() %}'{{ var('mapped_sources') | join("', '") }}'{% endmacro %}

{#
    The payload with prices, amounts and fractional times as text, so that parsing loses no digit: the values of
    number_keys(), and the times in Kraken's rows.
#}
{% macro lossless(payload) -%}
    case
        when contains({{ payload }}, '"backfill"') then {{ quote_numbers_in_rows(quote_numbers(payload, number_keys())) }}
        else {{ quote_numbers(payload, number_keys()) }}
    end
{%- endmacro %}

{#
    The fields that show where the elements of an object are: channel, product and backfill. Null for most messages,
    which are a single element: these are parsed only once.
#}
{% macro envelope_of(message) -%}{{ adapter.dispatch('envelope_of')(message) }}{%- endmacro %}
{% macro duckdb__envelope_of(message) -%}
    case
        when contains({{ message }}, '"backfill"') or contains({{ message }}, '"channel"')
            then try(from_json({{ message }}, '{"channel": "VARCHAR", "product": "VARCHAR", "backfill": "VARCHAR"}'))
    end
{%- endmacro %}

{# The format of the elements of a message with a list; null if the message is a single element. #}
{% macro listed_format(is_list, envelope) -%}
    case
        when {{ is_list }} then 'page'
        when {{ envelope }}.backfill = 'aggTrades' then 'agg_trade'
        when {{ envelope }}.backfill = 'trades' then 'match'
        when {{ envelope }}.backfill = 'Trades' then 'trade_row'
        when {{ envelope }}.channel = 'trade' then 'trade'
    end
{%- endmacro %}

{# The elements of a list, each as its JSON text; null if the message is not JSON. #}
{% macro elements_of(message, format, is_backfill) -%}{{ adapter.dispatch('elements_of')(message, format, is_backfill) }}{%- endmacro %}
{% macro duckdb__elements_of(message, format, is_backfill) -%}
    case
        when {{ format }} = 'page' then try(json_extract({{ message }}, '$[*]')::varchar[])
        when {{ format }} = 'trade_row' then try(json_extract({{ message }}, '$.body.result.*[*]')::varchar[])
        when {{ is_backfill }} then try(json_extract({{ message }}, '$.body[*]')::varchar[])
        when {{ format }} = 'trade' then try(json_extract({{ message }}, '$.data[*]')::varchar[])
    end
{%- endmacro %}

{#
    The fields of one element as text; null if the element is not an object. The names of fields differ between formats,
    their meanings do not. Each element is parsed separately: a struct in a list would be copied with its whole list for
    every field.
#}
{% macro fields_of(element) -%}{{ adapter.dispatch('fields_of')(element) }}{%- endmacro %}
{% macro duckdb__fields_of(element) -%}
    try(from_json({{ element }}, '{
        "{{ field_names() | join('": "VARCHAR", "') }}": "VARCHAR",
        "data": {"{{ data_field_names() | join('": "VARCHAR", "') }}": "VARCHAR"}
    }'))
{%- endmacro %}

{% macro field_names() %}
    {{ return([
        'id', 'symbol', 'name', 'category', 'market_cap_rank',
        'current_price', 'total_volume', 'market_cap', 'last_updated', 'price_change_percentage_1h_in_currency',
        'product', 'price', 'volume', 'time',
        'type', 'product_id', 'trade_id', 'size', 'qty', 'timestamp',
        'e', 's', 'a', 'f', 'p', 'q', 'T',
        'stream', 'channel', 'event', 'method'
    ]) }}
{% endmacro %}

{# The fields in the `data` object of a combined stream. #}
{% macro data_field_names() %}{{ return(['e', 's', 'a', 'f', 'p', 'q', 'T']) }}{% endmacro %}

{# The values of a trade_row, in their order: price, volume, time, side, type, misc, trade id. #}
{% macro values_of(element) -%}{{ adapter.dispatch('values_of')(element) }}{%- endmacro %}
{% macro duckdb__values_of(element) -%}
    try(from_json({{ element }}, '["VARCHAR"]'))
{%- endmacro %}

{# The format of an object that is a single element; null if it has none of these formats. #}
{% macro single_format(field) -%}
    case
        when {{ field }}.e = 'aggTrade' or {{ field }}.data.e = 'aggTrade' then 'agg_trade'
        when {{ field }}.type in ('match', 'last_match') then 'match'
        when {{ names_another_kind(field) }} then null
        when {{ field }}.product is not null or {{ field }}.price is not null then 'tick'
    end
{%- endmacro %}

{#
    Whether an object without a product names its message kind. Exchanges name the kind in every message. An object with
    a kind that is not one of the trade formats above is a ticker, an order book, a candle or the reply to a
    subscription. An object with a product is a tick, even if it names a kind.
#}
{% macro names_another_kind(field) -%}
    {{ field }}.product is null
    and coalesce({{ field }}.type, {{ field }}.e, {{ field }}.stream, {{ field }}.channel, {{ field }}.event, {{ field }}.method) is not null
{%- endmacro %}

{# One field for all formats: `expressions` has the SQL expression of each format. #}
{% macro by_format(expressions) -%}
    case format {% for format, expression in expressions.items() %}when '{{ format }}' then {{ expression }} {% endfor %}end
{%- endmacro %}

{#
    The time of an event. Text with hyphens is a date and time; other text is a count since 1970, whose magnitude shows
    its unit.
#}
{% macro event_time(text) -%}
    case when contains({{ text }}, '-') then {{ time_of(text) }} else {{ time_since_epoch(text) }} end
{%- endmacro %}

{#
    Whether the product is an exchange's name of a market, not a coin's id. The product of a trade always is. The
    product of a tick is one only if crypto_products maps the tick's source; otherwise it is a coin's id.
#}
{% macro is_exchange_product(row) -%}
    {{ row }}.product is not null and ({{ row }}.format != 'tick' or {{ row }}.source in ({{ mapped_sources() }}))
{%- endmacro %}

{#
    The product's name, in upper case if the source ignores case in product names (case_folding_sources). Ticks,
    Coinlake's own format, always ignore case.
#}
{% macro product_of_name(name) -%}
    case
        when format = 'tick' or source in ('{{ var('case_folding_sources') | join("', '") }}') then upper({{ name }})
        else {{ name }}
    end
{%- endmacro %}

{#
    The coin's id of a product that is not mapped: `source:product`, such as `coinbase:USUAL-USD`. It never equals an id
    from a page: page ids are in lower case and contain no colon.
#}
{% macro id_of_product(source, product) -%}concat_ws(':', {{ source }}, {{ product }}){%- endmacro %}

{# Symbol and name, derived from the id, of a coin that no source describes. #}
{% macro symbol_of_id(id) -%}
    case when position(':' in {{ id }}) > 0 then substr({{ id }}, position(':' in {{ id }}) + 1) else upper({{ id }}) end
{%- endmacro %}
{% macro name_of_id(id) -%}
    case
        when position(':' in {{ id }}) > 0 then substr({{ id }}, position(':' in {{ id }}) + 1) || ' on ' || substr({{ id }}, 1, position(':' in {{ id }}) - 1)
        else upper({{ id }})
    end
{%- endmacro %}

{#
    Records with one row per element. A record without elements counts as one element, so that every record is accepted,
    a duplicate or rejected.
#}
{% macro rows_of_elements(records) -%}{{ adapter.dispatch('rows_of_elements')(records) }}{%- endmacro %}
{% macro duckdb__rows_of_elements(records) -%}
    select
        * exclude (message, unreadable, listed),
        record_rejection is null and list_format is not null as is_listed,
        unnest(case when is_listed then listed else [message] end) as element,
        case when is_listed then len(listed) else 1 end as element_count,
        case when is_listed then generate_subscripts(listed, 1) - 1 else 0 end as element_index
    from {{ records }}
{%- endmacro %}

{# The number of elements of a payload, counted without parsing them: for reconciliation. #}
{% macro count_of_elements(payload) -%}{{ adapter.dispatch('count_of_elements')(payload) }}{%- endmacro %}
{% macro duckdb__count_of_elements(payload) -%}
    case
        when strlen({{ payload }}) > {{ var('max_payload_bytes') }} or {{ has_too_many_values(payload) }} then 1
        when {{ first_character(payload) }} = '[' then greatest(coalesce(try(json_array_length({{ payload }})), 1), 1)
        when try({{ payload }} ->> '$.backfill') in ('aggTrades', 'trades') then greatest(coalesce(try(json_array_length({{ payload }}, '$.body')), 1), 1)
        when try({{ payload }} ->> '$.backfill') = 'Trades' then greatest(coalesce(try(len({{ payload }} -> '$.body.result.*[*]')), 1), 1)
        when try({{ payload }} ->> '$.channel') = 'trade' then greatest(coalesce(try(json_array_length({{ payload }}, '$.data')), 1), 1)
        else 1
    end
{%- endmacro %}
