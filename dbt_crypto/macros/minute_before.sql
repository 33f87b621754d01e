{#
    A row's minute before is the last one of its coin that was over an hour before it: that began 61 minutes before, or earlier. It says
    something of the row if it began less than 121 minutes before. DuckDB finds it by an ASOF join. Spark has none: there a minute
    meets the rows whose minute before lies in its own hour or in the next, the only ones of which it can say something.
#}

{# Rows, of whose coin there is a minute that says something of them. #}
{% macro from_rows_with_a_minute_before(rows, minutes) -%}{{ adapter.dispatch('from_rows_with_a_minute_before')(rows, minutes) }}{%- endmacro %}
{% macro duckdb__from_rows_with_a_minute_before(rows, minutes) -%}
    from {{ rows }}
    asof join {{ minutes }}
        on {{ rows }}.crypto_id = {{ minutes }}.crypto_id
        and {{ rows }}.price_at - interval 61 minute >= {{ minutes }}.minute_at
    where {{ rows }}.price_at < {{ minutes }}.minute_at + interval 121 minute
{%- endmacro %}

{# Every row, beside the minute before it; on DuckDB even one that says nothing. #}
{% macro from_rows_and_the_minute_before(rows, minutes) -%}{{ adapter.dispatch('from_rows_and_the_minute_before')(rows, minutes) }}{%- endmacro %}
{% macro duckdb__from_rows_and_the_minute_before(rows, minutes) -%}
from {{ rows }}
asof left join {{ minutes }}
    on {{ rows }}.crypto_id = {{ minutes }}.crypto_id
    and {{ rows }}.price_at - interval 61 minute >= {{ minutes }}.minute_at
{%- endmacro %}
