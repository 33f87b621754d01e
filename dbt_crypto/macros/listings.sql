{# The earliest listing that the batch brings, as a timestamp literal; none when the dimension is built from all listings. #}
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
    From when on to read listings, to know of each coin how many listings it has missed by then: as many pages back as make a
    delisting, of every source with a page since. Two days hold them; after a longer silence all listings are read.
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
