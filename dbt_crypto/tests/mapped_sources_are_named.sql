-- The project's variable mapped_sources says what the seed says.
select distinct source from {{ ref('crypto_products') }}
where source not in ('{{ var('mapped_sources') | join("', '") }}')
