{#
    What a source sends, by the shape of its messages rather than by its name. A format turns a message into elements (one
    per price) and an element into the fields below; everything after that is the same for all of them.

      page   an array of objects, as of CoinGecko's /coins/markets: one element per coin, and a listing of coins
      tick   one object with a product, a price and a time
#}
{% macro number_keys() %}
    {{ return(['current_price', 'market_cap', 'total_volume', 'price_change_percentage_1h_in_currency', 'price', 'volume']) }}
{% endmacro %}

{#
    The elements of a message, as a list of their fields as text: names differ between formats, meanings do not. One pass over
    the message, which may be large; null where it is no JSON, and no field where an element is no object.
#}
{% macro elements_of(payload) -%}
    case
        when left(ltrim({{ payload }}, e' \t\r\n'), 1) = '[' then try(from_json({{ payload }}, '[{{ fields() }}]'))
        else [try(from_json({{ payload }}, '{{ fields() }}'))]
    end
{%- endmacro %}

{% macro fields() -%}
    {
        "id": "VARCHAR", "symbol": "VARCHAR", "name": "VARCHAR", "category": "VARCHAR", "market_cap_rank": "VARCHAR",
        "current_price": "VARCHAR", "total_volume": "VARCHAR", "market_cap": "VARCHAR", "last_updated": "VARCHAR",
        "price_change_percentage_1h_in_currency": "VARCHAR",
        "product": "VARCHAR", "price": "VARCHAR", "volume": "VARCHAR", "time": "VARCHAR"
    }
{%- endmacro %}

{% macro format_of(payload, elements) -%}
    case
        when left(ltrim({{ payload }}, e' \t\r\n'), 1) = '[' then case when len({{ elements }}) > 0 then 'page' end
        when {{ elements }}[1].product is not null or {{ elements }}[1].price is not null then 'tick'
    end
{%- endmacro %}

{# Values take a hundred times the memory of the two bytes they may come in. Counted by commas, without a look at the structure. #}
{% macro has_too_many_values(payload) -%}
    strlen({{ payload }}) - strlen(replace({{ payload }}, ',', '')) > {{ var('max_payload_values') }}
{%- endmacro %}

{# The elements of a message as JSON, for the quarantine; the message itself where it has none. #}
{% macro element_texts(payload, format) -%}
    case
        when {{ format }} = 'page' then json_extract({{ payload }}, '$[*]')::varchar[]
        else [{{ payload }}]
    end
{%- endmacro %}
