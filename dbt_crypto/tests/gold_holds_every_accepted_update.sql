{#
    Reconciliation of fact_crypto_ticks: each accepted update has one fact with the same coin, time and price, and no
    other fact exists.
#}
{% set both = consumed_by_all([ref('crypto_price_updates'), ref('fact_crypto_ticks')]) %}
with updates as (

    select log_topic, log_partition, log_offset, element_index, crypto_id, price_at, price
    from {{ ref('crypto_price_updates') }}
    where {{ both }}

),

facts as (

    select log_topic, log_partition, log_offset, element_index, crypto_id, price_at, price_usd as price
    from {{ ref('fact_crypto_ticks') }}
    where {{ both }}

)

select 'update without a fact' as problem, * from (from updates except from facts)
union all
select 'fact without an update' as problem, * from (from facts except from updates)
