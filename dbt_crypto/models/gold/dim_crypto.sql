{{ config(
    helper_columns=['replaced_from'],
    replace_on='t.crypto_id = s.crypto_id and t.valid_from >= s.replaced_from'
) }}

{#
    Slowly changing dimension, type 2: one version per state of a coin. The state is its symbol, name, category and
    rank, and whether it is delisted. Versions are computed from the listings since the earliest new minute, starting
    with the version in effect before it. The result equals the versions computed from all listings, in any order of
    arrival.
#}
{% set first_new = first_new_listing(ref('stg_crypto__elements')) %}
{% set state = tuple_of('symbol, name, category, market_cap_rank, is_delisted') %}
{% set read_from = listings_since(ref('crypto_listings'), first_new) %}
with listings as (

    select * from {{ ref('crypto_listings') }}
    {% if read_from %}where listed_at >= {{ read_from }} and listed_date >= cast({{ read_from }} as date){% endif %}

),

pages as (

    select source, listed_at, row_number() over (partition by source order by listed_at) as nth
    from (select distinct source, listed_at from listings where is_page)

),

appearances as (

    select
        listings.source,
        listings.crypto_id,
        pages.nth,
        lead(pages.nth) over (partition by listings.source, listings.crypto_id order by pages.nth) as next_nth
    from listings
    inner join pages using (source, listed_at)
    where listings.is_page

),

delistings as (

    select appearances.crypto_id, pages.listed_at
    from appearances
    inner join pages
        on appearances.source = pages.source and pages.nth = appearances.nth + {{ var('delisted_after_listings') }}
    where appearances.next_nth is null or appearances.next_nth > pages.nth

),

observations as (

    select crypto_id, listed_at, symbol, name, category, market_cap_rank, false as is_delisted, observed_at, source
    from listings

    union all

    select crypto_id, listed_at, null, null, null, null, true, null, null
    from delistings

),

{#
    If several sources list a coin in one minute, each attribute has its latest known value. The coin is delisted only
    if no source lists it.
#}
events as (

    select
        crypto_id,
        listed_at as valid_from,
        {{ last_by('symbol', tuple_of('observed_at, source')) }} as symbol,
        {{ last_by('name', tuple_of('observed_at, source')) }} as name,
        {{ last_by('category', tuple_of('observed_at, source')) }} as category,
        {{ last_by('market_cap_rank', tuple_of('observed_at, source')) }} as market_cap_rank,
        bool_and(is_delisted) as is_delisted,
        false as is_known
    from observations
    {% if first_new %}where listed_at >= {{ first_new }}{% endif %}
    group by crypto_id, listed_at

    {% if first_new %}
    union all

    select crypto_id, valid_from, symbol, name, category, market_cap_rank, is_delisted, true
    from {{ this }}
    where valid_from < {{ first_new }} and (valid_to is null or valid_to >= {{ first_new }})
    {% endif %}

),

{# The symbol in crypto_products, for coins that are only traded so far and that no page has listed. #}
traded_symbols as (

    select crypto_id, min(symbol) as traded_symbol from {{ ref('crypto_products') }} group by crypto_id

),

{# An attribute that a listing lacks keeps its last known value. #}
states as (

    select
        crypto_id,
        valid_from,
        coalesce({{ last_known('symbol', 'so_far') }}, traded_symbol, {{ symbol_of_id('crypto_id') }}) as symbol,
        coalesce({{ last_known('name', 'so_far') }}, {{ name_of_id('crypto_id') }}) as name,
        {{ last_known('category', 'so_far') }} as category,
        {{ last_known('market_cap_rank', 'so_far') }} as market_cap_rank,
        is_delisted,
        is_known
    from events
    left join traded_symbols using (crypto_id)
    window so_far as (partition by crypto_id order by valid_from rows between unbounded preceding and current row)

),

changes as (

    select *
    from (
        select
            *,
            ({{ state }} is distinct from lag({{ state }}) over versions) as is_change
        from states
        window versions as (partition by crypto_id order by valid_from)
    ) as states
    where is_change

),

versions as (

    select
        *,
        lead(valid_from) over (partition by crypto_id order by valid_from) as valid_to,
        min(valid_from) over (partition by crypto_id) as replaced_from,
        bool_and(is_known) over (partition by crypto_id) as is_unchanged
    from changes

)

select
    crypto_id || '@' || {{ text_of_minute('valid_from') }} as crypto_key,
    crypto_id,
    symbol,
    name,
    category,
    market_cap_rank,
    valid_from,
    valid_to,
    valid_to is null as is_current,
    is_delisted,
    replaced_from
from versions
{% if first_new %}
{#
    Versions from `first_new` on are deleted and computed again. A version that may lose its successor is written again,
    with valid_to null.
#}
where not is_unchanged or crypto_id in (select crypto_id from {{ this }} where valid_from >= {{ first_new }})
{% endif %}
