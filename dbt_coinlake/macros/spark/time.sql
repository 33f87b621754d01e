{% macro spark__is_new_york_trading_hour(timestamp) -%}
    (
        extract(dow_iso from from_utc_timestamp({{ timestamp }}, 'America/New_York')) <= 5
        and date_format(from_utc_timestamp({{ timestamp }}, 'America/New_York'), 'HH:mm') >= '09:30'
        and date_format(from_utc_timestamp({{ timestamp }}, 'America/New_York'), 'HH:mm') < '16:00'
    )
{%- endmacro %}

{% macro spark__minutes_since_epoch(timestamp) -%}
    unix_micros({{ timestamp }}) div 60000000
{%- endmacro %}

{% macro spark__time_since_epoch(count) -%}
    timestamp_micros(case
        when {{ count }} < {{ least_count('milliseconds') }} then try_cast(try_multiply({{ count }}, 1000000) as bigint)
        when {{ count }} < {{ least_count('microseconds') }} then try_cast(try_multiply({{ count }}, 1000) as bigint)
        when {{ count }} < {{ least_count('nanoseconds') }} then try_cast({{ count }} as bigint)
        else try_cast({{ count }} as bigint) div 1000
    end)
{%- endmacro %}

{# Spark would take years, months and bare times of day too, the latter as of today. #}
{% macro spark__time_of(text) -%}
    case
        when {{ matches(text, '\\s*[0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2}([ T][0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}([.][0-9]*)?)? ?(Z|UTC|[-+][0-9]{1,2}(:?[0-9]{2})?)?)?\\s*') }}
            then try_cast({{ text }} as timestamp)
    end
{%- endmacro %}

{% macro spark__is_finite(timestamp) -%}true{%- endmacro %}

{% macro spark__microseconds_since_epoch(timestamp) -%}unix_micros({{ timestamp }}){%- endmacro %}

{% macro spark__minutes_of(count) -%}make_dt_interval(0, 0, {{ count }}::int){%- endmacro %}

{% macro spark__text_of_minute(timestamp) -%}date_format({{ timestamp }}, "yyyy-MM-dd'T'HH:mm'Z'"){%- endmacro %}

{% macro spark__time_literal(text) %}{{ return("timestamp '" ~ text ~ "'" if text else 'cast(null as timestamp)') }}{% endmacro %}
