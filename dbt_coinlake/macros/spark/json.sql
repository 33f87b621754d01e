{#
    JSON as DuckDB reads it. Spark's own reader differs where a message is odd: it stops after the first value and calls that the
    message, of a key that comes twice it takes the last, it reads half a surrogate pair as a question mark, and of a list's elements
    it does not say which were strings.
#}
{% macro json_options() -%}map('allowSingleQuotes', 'false', 'maxNestingDepth', '10000000', 'maxNumLen', '10000000'){%- endmacro %}

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

{# A text is one value of JSON if it is the first of two in a list that ends as it should. #}
{% macro spark__is_json(text) -%}
    coalesce(
        array_size(from_json(concat('[', {{ text }}, ',"coinlake-end"]'), 'array<string>', {{ json_options() }})) = 2
            and from_json(concat('[', {{ text }}, ',"coinlake-end"]'), 'array<string>', {{ json_options() }})[1] = 'coinlake-end'
            and not (contains({{ text }}, r'\u') and {{ has_half_a_pair(text) }}),
        false
    )
{%- endmacro %}

{% macro spark__json_elements(text) -%}
    case when {{ is_json(text) }} and {{ first_character(text) }} = '[' then {{ elements_of_marked(marked(text)) }} end
{%- endmacro %}

{% macro spark__json_fields(text, names) -%}
    case when {{ is_json(text) }} and {{ first_character(text) }} = '{' then
        from_json({{ text }}, '{{ names | join(' string, ') }} string', {{ json_options() }})
    end
{%- endmacro %}

{% macro spark__rows_of_list(records, list, text) -%}
    select {{ all_but(list ~ ', ' ~ text) }}, greatest(coalesce(array_size({{ list }}), 1), 1) as element_count
    from {{ records }}
    lateral view posexplode(case when array_size({{ list }}) > 0 then {{ list }} else array({{ text }}) end) as element_index, element
{%- endmacro %}
