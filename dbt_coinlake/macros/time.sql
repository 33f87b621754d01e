{# Monday to Friday, 09:30 to 16:00 in New York: the regular session of US equities; holidays are not considered. #}
{% macro is_new_york_trading_hour(timestamp) -%}{{ adapter.dispatch('is_new_york_trading_hour')(timestamp) }}{%- endmacro %}
{% macro duckdb__is_new_york_trading_hour(timestamp) -%}
    (
        isodow(timezone('America/New_York', {{ timestamp }})) <= 5
        and cast(timezone('America/New_York', {{ timestamp }}) as time) >= time '09:30:00'
        and cast(timezone('America/New_York', {{ timestamp }}) as time) < time '16:00:00'
    )
{%- endmacro %}

{# Whole minutes since 1970-01-01 00:00 UTC: the key of dim_time. #}
{% macro minutes_since_epoch(timestamp) -%}{{ adapter.dispatch('minutes_since_epoch')(timestamp) }}{%- endmacro %}
{% macro duckdb__minutes_since_epoch(timestamp) -%}
    epoch_us({{ timestamp }}) // 60000000
{%- endmacro %}

{#
    A timestamp from a count since 1970-01-01 00:00 UTC, given as text in seconds, milliseconds, microseconds or
    nanoseconds: from 2009 on these have 10, 13, 16 and 19 digits (src/producer/epoch.ts has the same limits). It is
    truncated to microseconds, as text of a date and time is.
#}
{% macro time_since_epoch(count) -%}{{ adapter.dispatch('time_since_epoch')(decimal_of(count, 'decimal(38, 9)')) }}{%- endmacro %}
{% macro duckdb__time_since_epoch(count) -%}
    try(make_timestamptz(case
        when {{ count }} < {{ least_count('milliseconds') }} then trunc({{ count }} * 1000000)::bigint
        when {{ count }} < {{ least_count('microseconds') }} then trunc({{ count }} * 1000)::bigint
        when {{ count }} < {{ least_count('nanoseconds') }} then trunc({{ count }})::bigint
        else trunc({{ count }})::bigint // 1000
    end))
{%- endmacro %}

{#
    The smallest count that is read in this unit. In this unit it is a time before 2009; in the next larger unit it is a
    time after 2255.
#}
{% macro least_count(unit) %}
    {{ return({'milliseconds': '100000000000', 'microseconds': '100000000000000', 'nanoseconds': '100000000000000000'}[unit]) }}
{% endmacro %}

{# No coin had a price before 2009: an earlier time has a wrong unit, or is from a clock that was never set. #}
{% macro first_time() %}{{ return(time_literal('2009-01-01 00:00:00Z')) }}{% endmacro %}

{# A timestamp from text of a date and time; null if the text is not one. #}
{% macro time_of(text) -%}{{ adapter.dispatch('time_of')(text) }}{%- endmacro %}
{% macro duckdb__time_of(text) -%}try_cast({{ text }} as timestamptz){%- endmacro %}

{# Whether a timestamp is finite: DuckDB has infinite timestamps. #}
{% macro is_finite(timestamp) -%}{{ adapter.dispatch('is_finite')(timestamp) }}{%- endmacro %}
{% macro duckdb__is_finite(timestamp) -%}isfinite({{ timestamp }}){%- endmacro %}

{# Microseconds since 1970-01-01 00:00 UTC. #}
{% macro microseconds_since_epoch(timestamp) -%}{{ adapter.dispatch('microseconds_since_epoch')(timestamp) }}{%- endmacro %}
{% macro duckdb__microseconds_since_epoch(timestamp) -%}epoch_us({{ timestamp }}){%- endmacro %}

{# An interval of minutes. #}
{% macro minutes_of(count) -%}{{ adapter.dispatch('minutes_of')(count) }}{%- endmacro %}
{% macro duckdb__minutes_of(count) -%}to_minutes({{ count }}::integer){%- endmacro %}

{# A minute as text in ISO 8601, such as 2026-03-01T12:00Z. #}
{% macro text_of_minute(timestamp) -%}{{ adapter.dispatch('text_of_minute')(timestamp) }}{%- endmacro %}
{% macro duckdb__text_of_minute(timestamp) -%}strftime(timezone('UTC', {{ timestamp }}), '%Y-%m-%dT%H:%MZ'){%- endmacro %}

{# A timestamp literal from the engine's own text of a timestamp; a null literal if there is none. #}
{% macro time_literal(text) %}{{ return(adapter.dispatch('time_literal')(text)) }}{% endmacro %}
{% macro duckdb__time_literal(text) %}{{ return("timestamptz '" ~ text ~ "'" if text else 'null::timestamptz') }}{% endmacro %}
