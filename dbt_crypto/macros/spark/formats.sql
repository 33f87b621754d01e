{#
    JSON as DuckDB reads it. Spark's own reader differs where a message is odd: it stops after the first value and calls that the
    message, of a key that comes twice it takes the last, it reads half a surrogate pair as a question mark, and of a list's elements
    it does not say which were strings.
#}
{% macro json_options() -%}map('allowSingleQuotes', 'false', 'maxNestingDepth', '10000000', 'maxNumLen', '10000000'){%- endmacro %}

{# A text is one value of JSON if it is the first of two in a list that ends as it should. #}
{% macro spark__is_json(text) -%}
    coalesce(
        array_size(from_json(concat('[', {{ text }}, ',"coinlake-end"]'), 'array<string>', {{ json_options() }})) = 2
            and from_json(concat('[', {{ text }}, ',"coinlake-end"]'), 'array<string>', {{ json_options() }})[1] = 'coinlake-end'
            and not (contains({{ text }}, r'\u') and {{ has_half_a_pair(text) }}),
        false
    )
{%- endmacro %}

{# Whether an escaped surrogate lacks its other half. #}
{% macro has_half_a_pair(text) -%}
    rlike({{ text }}, r'(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F])')
{%- endmacro %}

{#
    A list's elements, each as its JSON text. Spark's reader gives strings bare, and numbers as doubles; so in a list that it is to take
    apart every string and every number is a string between characters that Unicode keeps from use, which say what it was.
#}
{% macro marked(json) -%}
    regexp_replace({{ json }}, r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|(-?(?:[0-9][0-9.eE+-]*|NaN|Infinity))', '"\uFDD2$1\uFDD0$2\uFDD1"')
{%- endmacro %}

{% macro elements_of_marked(list) -%}
    transform(
        from_json({{ list }}, 'array<string>', {{ json_options() }}),
        element -> coalesce({{ unmarked("if(startswith(element, '\\uFDD2'), substr(to_json(array(element)), 2, length(to_json(array(element))) - 2), element)") }}, 'null')
    )
{%- endmacro %}

{% macro unmarked(json) -%}
    replace(replace(replace(replace({{ json }}, '\uFDD0\uFDD1"', '"'), '"\uFDD2\uFDD0', ''), '\uFDD1"', ''), '\uFDD2', '')
{%- endmacro %}

{# The list of that name in a marked object; none where there is no list. #}
{% macro elements_of_marked_member(object, name) -%}
    case
        when left({{ marked_member(object, name) }}, 1) = '[' then {{ elements_of_marked(marked_member(object, name)) }}
        else array()
    end
{%- endmacro %}

{% macro marked_member(object, name) -%}get_json_object({{ object }}, "$['\uFDD2{{ name }}\uFDD0\uFDD1']"){%- endmacro %}

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
