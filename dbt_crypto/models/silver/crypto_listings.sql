{{ config(
    partition_by=['listed_date'],
    helper_columns=['period_at'],
    replace_on="t.source = s.source and t.crypto_id = s.crypto_id and t.is_page = s.is_page
        and case when t.is_page then t.listed_at else date_trunc('hour', t.listed_at) end = s.period_at",
    prune_by=['listed_date']
) }}

{#
    The attributes of each coin by source, also from elements whose price is rejected. Of pages, the latest element of
    each minute is kept, because a coin that is missing from a page is not listed. Of ticks and trades, the first
    element of each hour is kept, because it only shows that the coin is traded.
#}
with observations as (

    select
        source,
        crypto_id,
        date_trunc('minute', ingested_at) as listed_at,
        format = 'page' as is_page,
        -- symbol and name are used together: if one is missing, the coin keeps both former values
        case when format = 'page' and name is not null then symbol end as symbol,
        case when format = 'page' and symbol is not null then name end as name,
        category,
        market_cap_rank,
        ingested_at as observed_at,
        log_partition,
        log_offset,
        element_index,
        false as is_known
    from {{ ref('stg_crypto__elements') }}
    where crypto_id is not null
        -- a page's element without name or symbol lists its coin only if its price is accepted
        and (format != 'page' or (symbol is not null and name is not null) or reason is null)
        and {{ is_new_to_this_model() }}

    {% if is_incremental() %}
    union all

    select
        source, crypto_id, listed_at, is_page, symbol, name, category, market_cap_rank,
        observed_at, log_partition, log_offset, element_index, true as is_known
    from {{ this }}
    where
        date_trunc('hour', listed_at) in (
            select distinct date_trunc('hour', ingested_at) from {{ ref('stg_crypto__elements') }}
        )
        and listed_date in ({{ batch_listing_dates(ref('stg_crypto__elements')) }})
    {% endif %}

),

in_periods as (

    select
        *,
        case when is_page then listed_at else date_trunc('hour', listed_at) end as period_at,
        case when is_page then -1 else 1 end as direction
    from observations

),

chosen as (

    select
        *,
        row_number() over (
            partition by source, crypto_id, is_page, period_at
            order by
                direction * {{ microseconds_since_epoch('observed_at') }},
                direction * log_partition,
                direction * log_offset,
                direction * element_index
        ) as choice
    from in_periods

)

select
    {{ all_but('is_known, direction, choice') }},
    cast(listed_at as date) as listed_date
from chosen
where choice = 1 and not is_known
