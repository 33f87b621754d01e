{#
    The total order of price events: time, source, product, trade number, position in the log. Trades of one moment arrive in any order (a
    page has the newest first, a gap is filled after later trades), so the log's order is the last criterion. Texts compare by their bytes,
    numbers as integers; what is absent sorts first: DuckDB and Spark sort nulls differently.

    src/pipeline/event-order.ts holds the same order for everything that is not dbt; a test compares the two.
#}
{% macro event_order() %}
    {{ return([
        'price_at', 'source', "coalesce(product, '')", 'coalesce(trade_number, -1)', 'log_partition', 'log_offset', 'element_index'
    ]) }}
{% endmacro %}
