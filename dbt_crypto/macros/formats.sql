{#
    What a source sends, by the shape of its messages rather than by its name. A format turns a message into elements (one
    per price) and an element into the fields below; everything after that is the same for all of them.

      page        an array of objects, as of CoinGecko's /coins/markets: one element per coin, and a listing of coins
      tick        one object with a product, a price and a time
      agg_trade   Binance's aggregate trade, bare or as the `data` of a combined stream
      match       Coinbase's trade
      trade       Kraken's trades: an object of channel trade, one element for each of its `data`
      trade_row   the same from Kraken's REST API: a row of values

    What a feed missed and its REST API still had comes in an envelope {"product", "backfill", "body"}: the product asked for,
    the route, and the body as received, each trade of which is an element.
#}
{% macro number_keys() %}
    {{ return([
        'current_price', 'market_cap', 'total_volume', 'price_change_percentage_1h_in_currency', 'price', 'volume', 'size', 'qty', 'p', 'q'
    ]) }}
{% endmacro %}

{# Sources whose products crypto_products maps, as a list of SQL. #}
{% macro mapped_sources() %}'{{ var('mapped_sources') | join("', '") }}'{% endmacro %}

{# The payload with its prices, amounts and fractional times as text: those that have a name, and the times of Kraken's rows. #}
{% macro lossless(payload) -%}
    case
        when contains({{ payload }}, '"backfill"') then {{ quote_numbers_in_rows(quote_numbers(payload, number_keys())) }}
        else {{ quote_numbers(payload, number_keys()) }}
    end
{%- endmacro %}

{# What says where an object's elements are. Most messages are single elements: they are not read twice for it. #}
{% macro envelope_of(message) -%}{{ adapter.dispatch('envelope_of')(message) }}{%- endmacro %}
{% macro duckdb__envelope_of(message) -%}
    case
        when contains({{ message }}, '"backfill"') or contains({{ message }}, '"channel"')
            then try(from_json({{ message }}, '{"channel": "VARCHAR", "product": "VARCHAR", "backfill": "VARCHAR"}'))
    end
{%- endmacro %}

{# The format of a message's elements where they are in a list; null where the message is one element. #}
{% macro listed_format(is_list, envelope) -%}
    case
        when {{ is_list }} then 'page'
        when {{ envelope }}.backfill = 'aggTrades' then 'agg_trade'
        when {{ envelope }}.backfill = 'trades' then 'match'
        when {{ envelope }}.backfill = 'Trades' then 'trade_row'
        when {{ envelope }}.channel = 'trade' then 'trade'
    end
{%- endmacro %}

{# The elements of a list, each as its JSON text; null where the message is no JSON. #}
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
    The fields of an element, as text: names differ between formats, meanings do not. Null where it is no object. Read element by
    element: a struct within a list would be copied with its whole list for every field.
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

{# Those within the `data` of a combined stream. #}
{% macro data_field_names() %}{{ return(['e', 's', 'a', 'f', 'p', 'q', 'T']) }}{% endmacro %}

{# The values of a trade_row, in their order: price, volume, time, side, type, misc, trade id. #}
{% macro values_of(element) -%}{{ adapter.dispatch('values_of')(element) }}{%- endmacro %}
{% macro duckdb__values_of(element) -%}
    try(from_json({{ element }}, '["VARCHAR"]'))
{%- endmacro %}

{# The format of an object that is one element; null where it is none of them. #}
{% macro single_format(field) -%}
    case
        when {{ field }}.e = 'aggTrade' or {{ field }}.data.e = 'aggTrade' then 'agg_trade'
        when {{ field }}.type in ('match', 'last_match') then 'match'
        when {{ names_another_kind(field) }} then null
        when {{ field }}.product is not null or {{ field }}.price is not null then 'tick'
    end
{%- endmacro %}

{#
    Exchanges say in every message of what kind it is. An object that does so, and is no trade of the formats above, is a ticker,
    a book, a candle, an answer to a subscription. A tick may say its kind: it has a product.
#}
{% macro names_another_kind(field) -%}
    {{ field }}.product is null
    and coalesce({{ field }}.type, {{ field }}.e, {{ field }}.stream, {{ field }}.channel, {{ field }}.event, {{ field }}.method) is not null
{%- endmacro %}

{# One field for all formats: the expression of each. #}
{% macro by_format(expressions) -%}
    case format {% for format, expression in expressions.items() %}when '{{ format }}' then {{ expression }} {% endfor %}end
{%- endmacro %}

{# When an event was: text of a date and time, which has hyphens, or a count since 1970, in the unit that its magnitude shows. #}
{% macro event_time(text) -%}
    case when contains({{ text }}, '-') then {{ time_of(text) }} else {{ time_since_epoch(text) }} end
{%- endmacro %}

{#
    Whether a product is an exchange's own name for a market, and no coin's id. Trades of every source have such a product; a tick of a
    source that has no mapping names the coin itself.
#}
{% macro is_exchange_product(row) -%}
    {{ row }}.product is not null and ({{ row }}.format != 'tick' or {{ row }}.source in ({{ mapped_sources() }}))
{%- endmacro %}

{#
    What tells the products of a source apart: their name, in upper case where the source itself makes no difference. Ticks are
    Coinlake's own format, in which case tells nothing.
#}
{% macro product_of_name(name) -%}
    case
        when format = 'tick' or source in ('{{ var('case_folding_sources') | join("', '") }}') then upper({{ name }})
        else {{ name }}
    end
{%- endmacro %}

{#
    A product that no coin is mapped to is a separate coin, under an id that names the source: `coinbase:USUAL-USD`. Ids that pages give are
    in lower case and have no colon, so the two never meet.
#}
{% macro id_of_product(source, product) -%}concat_ws(':', {{ source }}, {{ product }}){%- endmacro %}

{# Symbol and name of a coin that nobody describes, from its id. #}
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
    Records with a row for each of their elements. A record that gives no element counts as one, so that every record has its
    verdict.
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

{# How many elements a payload has, counted without taking it apart: for reconciliation. #}
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
