{#
    Order events in JSON. A message is one event, or an envelope with the events of a file:

      {"file", "first_element", "elements": [event, …]}    events of a file, from this position on
      {"file", "first_element", "malformed": "text"}       a part of a file that is not JSON

    Version 2 of an event names a line's price `price` (before: `unit_price`), splits the customer's name, and adds the
    order's channel. The same expressions read both versions, because fields that a version lacks are null.
#}
{% macro number_keys() %}
    {{ return(['quantity', 'unit_price', 'price', 'discount', 'shipping', 'total']) }}
{% endmacro %}

{# The envelope of a file's events; null for other messages. #}
{% macro file_envelope(message) -%}{{ adapter.dispatch('file_envelope')(message) }}{%- endmacro %}
{% macro duckdb__file_envelope(message) -%}
    try(from_json({{ message }}, '{"file": "VARCHAR", "first_element": "BIGINT", "malformed": "VARCHAR"}'))
{%- endmacro %}

{# The envelope's events, each as its JSON text; null if there is no list. #}
{% macro elements_in(message) -%}{{ adapter.dispatch('elements_in')(message) }}{%- endmacro %}
{% macro duckdb__elements_in(message) -%}try(json_extract({{ message }}, '$.elements[*]')::varchar[]){%- endmacro %}

{# The number of events of a payload, counted without parsing them: for reconciliation. #}
{% macro count_of_elements(payload) -%}{{ adapter.dispatch('count_of_elements')(payload) }}{%- endmacro %}
{% macro duckdb__count_of_elements(payload) -%}
    case
        when strlen({{ payload }}) > {{ var('max_payload_bytes') }} or {{ has_too_many_values(payload) }} then 1
        when contains({{ payload }}, '"elements"') then greatest(coalesce(try(json_array_length({{ payload }}, '$.elements')), 1), 1)
        else 1
    end
{%- endmacro %}

{# The fields of an event as text; null if it is not JSON. #}
{% macro event_fields(element) -%}{{ adapter.dispatch('event_fields')(element) }}{%- endmacro %}
{% macro duckdb__event_fields(element) -%}
    try(from_json({{ element }}, '{
        "event": "VARCHAR", "event_id": "VARCHAR", "occurred_at": "VARCHAR",
        "order": {
            "id": "VARCHAR", "store": "VARCHAR", "currency": "VARCHAR", "status": "VARCHAR", "placed_at": "VARCHAR", "channel": "VARCHAR",
            "discount": "VARCHAR", "shipping": "VARCHAR", "total": "VARCHAR",
            "customer": {
                "id": "VARCHAR", "name": "VARCHAR", "first_name": "VARCHAR", "last_name": "VARCHAR",
                "email": "VARCHAR", "segment": "VARCHAR", "city": "VARCHAR", "country": "VARCHAR"
            },
            "items": [{
                "product_id": "VARCHAR", "name": "VARCHAR", "category": "VARCHAR",
                "quantity": "VARCHAR", "unit_price": "VARCHAR", "price": "VARCHAR"
            }]
        }
    }'))
{%- endmacro %}

{# The lines of an order as structs with typed figures, in their order. #}
{% macro typed_lines(items) -%}{{ adapter.dispatch('typed_lines')(items) }}{%- endmacro %}
{% macro duckdb__typed_lines(items) -%}
    list_transform({{ items }}, lambda item: {
        'product_id': nullif(trim(item.product_id), ''),
        'name': nullif(trim(item.name), ''),
        'category': nullif(trim(item.category), ''),
        'quantity': {{ whole_number('item.quantity') }},
        'unit_price': {{ money_of('coalesce(item.price, item.unit_price)') }},
        'price_text': coalesce(item.price, item.unit_price)
    })
{%- endmacro %}

{# Whether a condition holds for any line; `line` is its name in the condition. #}
{% macro any_line(lines, condition) -%}{{ adapter.dispatch('any_line')(lines, condition) }}{%- endmacro %}
{% macro duckdb__any_line(lines, condition) -%}
    coalesce(list_bool_or(list_transform({{ lines }}, lambda line: {{ condition }})), false)
{%- endmacro %}

{# The sum of an expression over the lines, in a type that holds every sum: an absurd order must not stop the others. #}
{% macro sum_over_lines(lines, expression, type) -%}{{ adapter.dispatch('sum_over_lines')(lines, expression, type) }}{%- endmacro %}
{% macro duckdb__sum_over_lines(lines, expression, type) -%}
    cast(list_sum(list_transform({{ lines }}, lambda line: {{ expression }})) as {{ type }})
{%- endmacro %}

{# The lines as JSON text, in the form that tables store. #}
{% macro lines_as_json(lines) -%}{{ adapter.dispatch('lines_as_json')(lines) }}{%- endmacro %}
{% macro duckdb__lines_as_json(lines) -%}
    cast(to_json(list_transform({{ lines }}, lambda line: {
        'product_id': line.product_id, 'name': line.name, 'category': line.category,
        'quantity': line.quantity, 'unit_price': line.unit_price::varchar
    })) as varchar)
{%- endmacro %}

{# Rows with one row for each of their lines: `line` is the line's JSON text, `line_number` counts from 1. #}
{% macro rows_of_lines(rows) -%}{{ adapter.dispatch('rows_of_lines')(rows) }}{%- endmacro %}
{% macro duckdb__rows_of_lines(rows) -%}
    select
        *,
        unnest(json_extract(lines, '$[*]')) as line,
        unnest(generate_series(1, json_array_length(lines)::bigint)) as line_number
    from {{ rows }}
{%- endmacro %}

{# A field of a line's JSON text, as text. #}
{% macro line_field(name) -%}{{ adapter.dispatch('line_field')(name) }}{%- endmacro %}
{% macro duckdb__line_field(name) -%}line ->> '$.{{ name }}'{%- endmacro %}

{# Amounts are exact: four decimals, fourteen digits before the point. #}
{% macro money_type() %}{{ return('decimal(18,4)') }}{% endmacro %}

{# An amount from text; null for other text, and for amounts that the type would round. #}
{% macro money_of(text) -%}
    case when {{ matches(text, '\\s*-?[0-9]{1,14}([.][0-9]{0,4}0*)?\\s*') }} then try_cast({{ text }} as {{ money_type() }}) end
{%- endmacro %}

{# A whole number from text; null for other text, decimals included. #}
{% macro whole_number(text) -%}
    case when {{ matches(text, '\\s*-?[0-9]{1,9}\\s*') }} then try_cast({{ text }} as integer) end
{%- endmacro %}

{# The order of an event's fields. #}
{% macro order_of(field) -%}{{ adapter.dispatch('order_of')(field) }}{%- endmacro %}
{% macro duckdb__order_of(field) -%}{{ field }}."order"{%- endmacro %}

{# A time with a zone; null for other text. #}
{% macro zoned_time(text) -%}
    case when {{ matches(text, '[0-9]{4}-[0-9]{2}-[0-9]{2}T.*(Z|[+-][0-9]{2}:?[0-9]{2})') }} then {{ time_of(text) }} end
{%- endmacro %}
