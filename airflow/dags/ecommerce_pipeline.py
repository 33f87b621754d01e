"""The DAG of the pipeline in pipelines/ecommerce.ts; test/cluster/airflow compares the two."""

from coinlake_dag import pipeline_dag

dag = pipeline_dag(
    "ecommerce_pipeline",
    bronze=["bronze.orders_bronze"],
    silver=[
        "silver.order_duplicates",
        "silver.order_events",
        "silver.orders_rejected",
        "silver.orders_silver",
    ],
    gold=[
        "gold.dim_customer",
        "gold.dim_product",
        "gold.fact_orders",
        "gold.sales_per_minute",
    ],
)
