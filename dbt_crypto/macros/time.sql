{# Monday to Friday, 09:30 to 16:00 in New York: the regular session of US equities, holidays not considered. #}
{% macro is_new_york_trading_hour(timestamp) -%}
    (
        isodow(timezone('America/New_York', {{ timestamp }})) <= 5
        and cast(timezone('America/New_York', {{ timestamp }}) as time) >= time '09:30:00'
        and cast(timezone('America/New_York', {{ timestamp }}) as time) < time '16:00:00'
    )
{%- endmacro %}

{# Whole minutes since 1970-01-01 00:00 UTC: the key of dim_time. #}
{% macro minutes_since_epoch(timestamp) -%}
    epoch_us({{ timestamp }}) // 60000000
{%- endmacro %}

{# A moment from a count since 1970-01-01 00:00 UTC, as text; cut to the microsecond, as text of a date and time is. #}
{% macro time_since_epoch(count, unit_us) -%}
    try(make_timestamptz(trunc({{ decimal_of(count, 'decimal(38, 9)') }} * {{ unit_us }})::bigint))
{%- endmacro %}
