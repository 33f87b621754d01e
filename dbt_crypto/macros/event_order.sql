{#
    The total order of price events: price_at, source, product, trade_number, and then the position in the log
    (partition, offset, element). Trades with equal times may arrive in any order: a page lists its newest trade first,
    and a backfill delivers older trades after newer ones. The position in the log therefore decides last. Text compares
    by its bytes and numbers compare as integers. Missing values are replaced so that they sort first, because DuckDB
    and Spark sort nulls differently.

    src/pipeline/event-order.ts defines the same order for everything outside dbt; a test compares the two.
#}
{% macro event_order() %}
    {{ return([
        'price_at', 'source', "coalesce(product, '')", 'coalesce(trade_number, -1)', 'log_partition', 'log_offset', 'element_index'
    ]) }}
{% endmacro %}
