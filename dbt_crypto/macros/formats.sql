{#
    What a source sends, by the shape of its messages rather than by its name. A format turns a message into elements (one
    per price) and an element into the fields below; everything after that is the same for all of them.

      page   an array of objects, as of CoinGecko's /coins/markets: one element per coin, and a listing of coins
      tick   one object with a product, a price and a time
#}
{% macro number_keys() %}
    {{ return(['current_price', 'market_cap', 'total_volume', 'price_change_percentage_1h_in_currency', 'price', 'volume']) }}
{% endmacro %}

{# The elements of a list, each as its JSON text; null where the message is no JSON. #}
{% macro elements_of(message) -%}
    try(json_extract({{ message }}, '$[*]')::varchar[])
{%- endmacro %}

{#
    The fields of an element, as text: names differ between formats, meanings do not. Null where it is no object. Read element by
    element: a struct within a list would be copied with its whole list for every field.
#}
{% macro fields_of(element) -%}
    try(from_json({{ element }}, '{
        "id": "VARCHAR", "symbol": "VARCHAR", "name": "VARCHAR", "category": "VARCHAR", "market_cap_rank": "VARCHAR",
        "current_price": "VARCHAR", "total_volume": "VARCHAR", "market_cap": "VARCHAR", "last_updated": "VARCHAR",
        "price_change_percentage_1h_in_currency": "VARCHAR",
        "product": "VARCHAR", "price": "VARCHAR", "volume": "VARCHAR", "time": "VARCHAR"
    }'))
{%- endmacro %}

{# Values take a hundred times the memory of the two bytes they may come in. Counted by commas, without a look at the structure. #}
{% macro has_too_many_values(payload) -%}
    strlen({{ payload }}) - strlen(replace({{ payload }}, ',', '')) > {{ var('max_payload_values') }}
{%- endmacro %}
