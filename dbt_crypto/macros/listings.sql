{# The earliest listing that the batch brings, as a timestamp literal; none when the dimension is built from all listings. #}
{% macro first_new_listing(elements) %}
    {% if not execute or not is_incremental() %}{{ return(none) }}{% endif %}
    {% set found = run_query(
        "select min(date_trunc('minute', ingested_at))::varchar from " ~ elements ~ " where " ~ is_new_to_this_model()
    ).columns[0].values()[0] %}
    {{ return("timestamptz '" ~ found ~ "'" if found else none) }}
{% endmacro %}

{# Where to read listings from, to know of each coin how many listings it has missed by then. #}
{% macro listings_since(listings, first_new) %}
    {% if first_new is none %}{{ return(none) }}{% endif %}
    {% set found = run_query(
        "select min(listed_at)::varchar from (
            select listed_at, row_number() over (partition by source order by listed_at desc) as nth
            from (
                select distinct source, listed_at from " ~ listings ~ "
                where is_page and listed_at < " ~ first_new ~ " and listed_date >= cast(" ~ first_new ~ " as date) - 2
            )
        ) where nth <= " ~ (var('delisted_after_listings') | int + 1)
    ).columns[0].values()[0] %}
    {{ return("timestamptz '" ~ found ~ "'" if found else first_new) }}
{% endmacro %}
