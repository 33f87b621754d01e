{{ config(
    partition_by=['listed_date'],
    unique_key=['source', 'crypto_id', 'listed_at', 'is_page'],
    prune_by=['listed_date', 'listed_at']
) }}

{#
    What each source said of each coin, once a minute, on pages and in ticks: the last word of the minute, believable price or
    not. A coin whose price is stale is still listed; a coin that a page leaves out is not.
#}
with observations as (

    select
        source,
        crypto_id,
        date_trunc('minute', ingested_at) as listed_at,
        format = 'page' as is_page,
        -- together or not at all: a coin with half a description keeps the whole one it had
        case when format = 'page' and name is not null then symbol end as symbol,
        case when format = 'page' and symbol is not null then name end as name,
        category,
        market_cap_rank,
        ingested_at as observed_at,
        log_partition,
        log_offset,
        element_index
    from {{ ref('crypto_elements') }}
    where crypto_id is not null
        -- a page's element without a name or a symbol says nothing about the coin, but an accepted price has one
        and (format = 'tick' or (symbol is not null and name is not null) or reason is null)
        and {{ is_new_to_this_model() }}

    {% if is_incremental() %}
    union all by name

    select
        source, crypto_id, listed_at, is_page, symbol, name, category, market_cap_rank,
        observed_at, log_partition, log_offset, element_index
    from {{ this }}
    where listed_at in (select distinct date_trunc('minute', ingested_at) from {{ ref('crypto_elements') }})
        and listed_date in ({{ batch_listing_dates(ref('crypto_elements')) }})
    {% endif %}

)

select
    *,
    cast(listed_at as date) as listed_date
from observations
qualify row_number() over (
    partition by source, crypto_id, listed_at, is_page
    order by observed_at desc, log_partition desc, log_offset desc, element_index desc
) = 1
