{#
    Reconciliation of the aggregates, by coin and hour: number of accepted updates = sum of price_updates of the minutes
    = price_updates of the candle. The three tables are compared if their consumed offsets are equal, which is always
    true between runs.
#}
{% set tables = [ref('crypto_price_updates'), ref('crypto_prices_clean'), ref('fact_crypto_hourly')] %}
{% set offsets = offsets_of_all(tables) %}
{% set is_between_runs = offsets[0] == offsets[1] == offsets[2] %}
with counts as (

    select crypto_id, date_trunc('hour', price_at) as hour_at, count(*) as updates, null as in_minutes, null as in_hours
    from {{ tables[0] }}
    group by all

    union all

    select crypto_id, date_trunc('hour', minute_at), null, sum(price_updates), null
    from {{ tables[1] }}
    group by all

    union all

    select crypto_id, hour_at, null, null, price_updates
    from {{ tables[2] }}

)

select crypto_id, hour_at, sum(updates) as updates, sum(in_minutes) as in_minutes, sum(in_hours) as in_hours
from counts
where {{ is_between_runs }}
group by crypto_id, hour_at
having sum(updates) is distinct from sum(in_minutes) or sum(updates) is distinct from sum(in_hours)
