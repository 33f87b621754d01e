{#
    What a source sends, by the shape of its messages rather than by its name. A format turns a message into elements (one
    per price) and an element into the fields below; everything after that is the same for all of them.

      page   an array of objects, as of CoinGecko's /coins/markets: one element per coin, and a listing of coins
      tick   one object with a product, a price and a time
#}
{% macro number_keys() %}
    {{ return(['current_price', 'market_cap', 'total_volume', 'price_change_percentage_1h_in_currency', 'price', 'volume']) }}
{% endmacro %}

{% macro format_of(payload) -%}
    case
        when json_type({{ payload }}) = 'ARRAY' and json_array_length({{ payload }}) > 0 then 'page'
        when json_exists({{ payload }}, '$.product') and json_exists({{ payload }}, '$.price') then 'tick'
    end
{%- endmacro %}

{# Elements of one message, as a list of JSON texts. #}
{% macro elements_of(payload, format) -%}
    case when {{ format }} = 'page' then json_extract({{ payload }}, '$[*]') else [{{ payload }}::json] end
{%- endmacro %}

{# The fields of both formats, as text: names differ, meanings do not. #}
{% macro fields_of(element) -%}
    from_json({{ element }}, '{
        "id": "VARCHAR", "symbol": "VARCHAR", "name": "VARCHAR", "category": "VARCHAR", "market_cap_rank": "VARCHAR",
        "current_price": "VARCHAR", "total_volume": "VARCHAR", "market_cap": "VARCHAR", "last_updated": "VARCHAR",
        "price_change_percentage_1h_in_currency": "VARCHAR",
        "product": "VARCHAR", "price": "VARCHAR", "volume": "VARCHAR", "time": "VARCHAR"
    }')
{%- endmacro %}
