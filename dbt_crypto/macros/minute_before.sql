{#
    The "minute before" of a row is the latest minute of its coin that began at least 61 minutes before the row, so it
    ended at least one hour before. It is used only if it began less than 121 minutes before the row. DuckDB finds it
    with an ASOF join. Spark has none, so its macros join each minute to the rows of two hours: those whose time minus
    61 minutes is in the minute's hour or in the next one. No other row can use the minute.
#}

{# Rows for which there is a "minute before" that began less than 121 minutes before. #}
{% macro from_rows_with_a_minute_before(rows, minutes) -%}{{ adapter.dispatch('from_rows_with_a_minute_before')(rows, minutes) }}{%- endmacro %}
{% macro duckdb__from_rows_with_a_minute_before(rows, minutes) -%}
    from {{ rows }}
    asof join {{ minutes }}
        on {{ rows }}.crypto_id = {{ minutes }}.crypto_id
        and {{ rows }}.price_at - interval 61 minute >= {{ minutes }}.minute_at
    where {{ rows }}.price_at < {{ minutes }}.minute_at + interval 121 minute
{%- endmacro %}

{# All rows with their minute before. On DuckDB it may be too old to be used; the caller checks its age. #}
{% macro from_rows_and_the_minute_before(rows, minutes) -%}{{ adapter.dispatch('from_rows_and_the_minute_before')(rows, minutes) }}{%- endmacro %}
{% macro duckdb__from_rows_and_the_minute_before(rows, minutes) -%}
from {{ rows }}
asof left join {{ minutes }}
    on {{ rows }}.crypto_id = {{ minutes }}.crypto_id
    and {{ rows }}.price_at - interval 61 minute >= {{ minutes }}.minute_at
{%- endmacro %}
