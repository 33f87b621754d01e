{% macro spark__from_rows_with_a_minute_before(rows, minutes) -%}
    from {{ rows }}
    left semi join {{ minutes_by_hour(minutes) }}
        on {{ is_minute_before(rows, minutes) }}
{%- endmacro %}

{% macro spark__from_rows_and_the_minute_before(rows, minutes) -%}
from {{ rows }}
left join {{ minutes_by_hour(minutes) }}
    on {{ is_minute_before(rows, minutes) }}
    and ({{ minutes }}.next_minute_at is null or {{ rows }}.price_at - interval 61 minute < {{ minutes }}.next_minute_at)
{%- endmacro %}

{% macro minutes_by_hour(minutes) -%}
    (
        select
            *,
            explode(array(date_trunc('hour', minute_at), date_trunc('hour', minute_at) + interval 1 hour)) as hour_at
        from (select *, lead(minute_at) over (partition by crypto_id order by minute_at) as next_minute_at from {{ minutes }})
    ) as {{ minutes }}
{%- endmacro %}

{% macro is_minute_before(rows, minutes) -%}
    {{ rows }}.crypto_id = {{ minutes }}.crypto_id
    and date_trunc('hour', {{ rows }}.price_at - interval 61 minute) = {{ minutes }}.hour_at
    and {{ rows }}.price_at - interval 61 minute >= {{ minutes }}.minute_at
    and {{ rows }}.price_at < {{ minutes }}.minute_at + interval 121 minute
{%- endmacro %}
