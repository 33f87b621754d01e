-- The variable mapped_sources names every source of the seed crypto_products.
select distinct source from {{ ref('crypto_products') }}
where source not in ({{ mapped_sources() }})
