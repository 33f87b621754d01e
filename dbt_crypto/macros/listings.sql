{# The time of the earliest listing in the batch, as a literal; none if dim_crypto is built from all listings. #}
{% macro first_new_listing(elements) %}
    {% if is_live() %}
        {{ return("(select min(date_trunc('minute', ingested_at)) from " ~ elements ~ " where " ~ is_new_to_this_model() ~ ")") }}
    {% endif %}
    {% if not is_running() or not is_incremental() %}{{ return(none) }}{% endif %}
    {% set found = run_query(
        "select min(date_trunc('minute', ingested_at))::string from " ~ elements ~ " where " ~ is_new_to_this_model()
    ).columns[0].values()[0] %}
    {{ return(time_literal(found) if found else none) }}
{% endmacro %}

{#
    The time from which listings are read to count how many listings each coin has missed. It covers the last
    delisted_after_listings + 1 pages before `first_new`, for every source with a page since then. Only two days are
    searched: if a source has fewer pages in them, the result is none and all listings are read.
#}
{% macro listings_since(listings, first_new) %}
    {% if is_live() %}{{ return(none) }}{% endif %}
    {% if first_new is none %}{{ return(none) }}{% endif %}
    {% set pages = var('delisted_after_listings') | int + 1 %}
    {% set first_new_date = "cast(" ~ first_new ~ " as date)" %}
    {% set sources = "(select distinct source from " ~ listings ~ "
        where is_page and listed_at >= " ~ first_new ~ " and listed_date >= " ~ first_new_date ~ ")" %}
    {% set found = run_query(
        "select count(*) = (select count(*) from " ~ sources ~ "), min(first_at)::string
        from (
            select source, min(listed_at) as first_at
            from (
                select source, listed_at, row_number() over (partition by source order by listed_at desc) as nth
                from (
                    select distinct source, listed_at from " ~ listings ~ "
                    where is_page and source in " ~ sources ~ "
                        and listed_at < " ~ first_new ~ " and listed_date >= " ~ first_new_date ~ " - 2
                )
            ) where nth <= " ~ pages ~ "
            group by source having count(*) = " ~ pages ~ "
        )"
    ).rows[0] %}
    {% if not found[0] %}{{ return(none) }}{% endif %}
    {{ return(time_literal(found[1]) if found[1] else first_new) }}
{% endmacro %}
