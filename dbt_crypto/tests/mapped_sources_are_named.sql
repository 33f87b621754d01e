-- The project's variable mapped_sources says what the seed says.
select distinct source from {{ ref('crypto_products') }}
where source not in ({{ mapped_sources() }})
