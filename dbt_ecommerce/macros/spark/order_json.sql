{% macro spark__file_envelope(message) -%}
    case when {{ is_json(message) }} then
        from_json({{ message }}, 'file string, first_element bigint, malformed string', {{ json_options() }})
    end
{%- endmacro %}

{% macro spark__elements_in(message) -%}
    case when contains({{ message }}, '"elements"') and {{ is_json(message) }} then {{ elements_of_marked_member(marked(message), 'elements') }} end
{%- endmacro %}

{% macro spark__count_of_elements(payload) -%}
    greatest(coalesce(
        case
            when octet_length({{ payload }}) > {{ var('max_payload_bytes') }} or {{ has_too_many_values(payload) }} or not {{ is_json(payload) }} then 1
            when contains({{ payload }}, '"elements"') then json_array_length(get_json_object({{ payload }}, '$.elements'))
        end,
        1
    ), 1)
{%- endmacro %}

{% macro spark__event_fields(element) -%}
    case when {{ is_json(element) }} then from_json(
        {{ element }},
        'event string, event_id string, occurred_at string, `order` struct<
            id: string, store: string, currency: string, status: string, placed_at: string, channel: string,
            discount: string, shipping: string, total: string,
            customer: struct<
                id: string, name: string, first_name: string, last_name: string,
                email: string, segment: string, city: string, country: string
            >,
            items: array<struct<
                product_id: string, name: string, category: string, quantity: string, unit_price: string, price: string
            >>
        >',
        {{ json_options() }}
    ) end
{%- endmacro %}

{% macro spark__order_of(field) -%}{{ field }}.`order`{%- endmacro %}

{% macro spark__typed_lines(items) -%}
    transform({{ items }}, item -> named_struct(
        'product_id', nullif(trim(item.product_id), ''),
        'name', nullif(trim(item.name), ''),
        'category', nullif(trim(item.category), ''),
        'quantity', {{ whole_number('item.quantity') }},
        'unit_price', {{ money_of('coalesce(item.price, item.unit_price)') }},
        'price_text', coalesce(item.price, item.unit_price)
    ))
{%- endmacro %}

{% macro spark__any_line(lines, condition) -%}
    coalesce(exists({{ lines }}, line -> coalesce({{ condition }}, false)), false)
{%- endmacro %}

{% macro spark__sum_over_lines(lines, expression, type) -%}
    case when array_size({{ lines }}) > 0 then
        aggregate({{ lines }}, cast(0 as {{ type }}), (total, line) -> cast(total + {{ expression }} as {{ type }}))
    end
{%- endmacro %}

{% macro spark__lines_as_json(lines) -%}
    to_json(
        transform({{ lines }}, line -> named_struct(
            'product_id', line.product_id, 'name', line.name, 'category', line.category,
            'quantity', line.quantity, 'unit_price', cast(line.unit_price as string)
        )),
        map('ignoreNullFields', 'false')
    )
{%- endmacro %}

{% macro spark__rows_of_lines(rows) -%}
    select *, to_json(line_fields, map('ignoreNullFields', 'false')) as line, position + 1 as line_number
    from {{ rows }}
    lateral view posexplode(from_json(
        lines, 'array<struct<product_id: string, name: string, category: string, quantity: string, unit_price: string>>'
    )) as position, line_fields
{%- endmacro %}

{% macro spark__line_field(name) -%}get_json_object(line, '$.{{ name }}'){%- endmacro %}
