{% macro spark__envelope_of(message) -%}
    case
        when contains({{ message }}, '"backfill"') or contains({{ message }}, '"channel"')
            then from_json({{ message }}, 'channel string, product string, backfill string', {{ json_options() }})
    end
{%- endmacro %}

{% macro spark__elements_of(message, format, is_backfill) -%}
    case
        when {{ format }} is null or not {{ is_json(message) }} then null
        when {{ format }} = 'page' then {{ elements_of_marked(marked(message)) }}
        when {{ format }} = 'trade_row' then coalesce(
            flatten(transform(
                map_values(from_json({{ marked_member(marked_member(marked(message), 'body'), 'result') }}, 'map<string, string>', {{ json_options() }})),
                trades -> case when left(trades, 1) = '[' then {{ elements_of_marked('trades') }} else array() end
            )),
            array()
        )
        when {{ is_backfill }} then {{ elements_of_marked_member(marked(message), 'body') }}
        when {{ format }} = 'trade' then {{ elements_of_marked_member(marked(message), 'data') }}
    end
{%- endmacro %}

{% macro spark__fields_of(element) -%}
    case
        when {{ first_character(element) }} = '{' and (is_listed or {{ is_json(element) }}) then
            case
                when {{ names_a_field_twice(element) }}
                    or contains({{ element }}, '"data"') and {{ names_a_field_twice("get_json_object(" ~ element ~ ", '$.data')") }}
                    then named_struct(
                        {% for name in field_names() %}'{{ name }}', get_json_object({{ element }}, '$.{{ name }}'), {% endfor %}
                        'data', named_struct({% for name in data_field_names() %}'{{ name }}', get_json_object({{ element }}, '$.data.{{ name }}'){{ ', ' if not loop.last }}{% endfor %})
                    )
                else from_json(
                    {{ element }},
                    '{{ field_names() | join(' string, ') }} string, data struct<{{ data_field_names() | join(': string, ') }}: string>',
                    {{ json_options() }}
                )
            end
    end
{%- endmacro %}

{% macro names_a_field_twice(json) -%}
    coalesce(array_size(json_object_keys({{ json }})) > array_size(array_distinct(json_object_keys({{ json }}))), false)
{%- endmacro %}

{% macro spark__values_of(element) -%}
    case when left({{ element }}, 1) = '[' then from_json({{ element }}, 'array<string>', {{ json_options() }}) end
{%- endmacro %}

{% macro spark__rows_of_elements(records) -%}
    select {{ all_but('message, unreadable, listed') }}, case when is_listed then array_size(listed) else 1 end as element_count
    from (select *, record_rejection is null and list_format is not null as is_listed from {{ records }})
    lateral view posexplode(case when is_listed then listed else array(message) end) as element_index, element
{%- endmacro %}

{% macro spark__count_of_elements(payload) -%}
    greatest(coalesce(
        case
            when octet_length({{ payload }}) > {{ var('max_payload_bytes') }} or {{ has_too_many_values(payload) }} or not {{ is_json(payload) }} then 1
            when {{ first_character(payload) }} = '[' then json_array_length({{ payload }})
            when get_json_object({{ payload }}, '$.backfill') in ('aggTrades', 'trades') then json_array_length(get_json_object({{ payload }}, '$.body'))
            when get_json_object({{ payload }}, '$.backfill') = 'Trades' then aggregate(
                map_values(from_json(get_json_object({{ payload }}, '$.body.result'), 'map<string, string>')),
                0,
                (total, trades) -> total + coalesce(json_array_length(trades), 0)
            )
            when get_json_object({{ payload }}, '$.channel') = 'trade' then json_array_length(get_json_object({{ payload }}, '$.data'))
        end,
        1
    ), 1)
{%- endmacro %}
