"""The DAG of the pipeline in pipelines/crypto.ts; test/cluster/airflow compares the two."""

from coinlake_dag import pipeline_dag

dag = pipeline_dag(
    "crypto_pipeline",
    bronze=["bronze.crypto_ticks_raw"],
    silver=[
        "silver.crypto_listings",
        "silver.crypto_price_duplicates",
        "silver.crypto_price_updates",
        "silver.crypto_prices_clean",
        "silver.crypto_prices_rejected",
    ],
    gold=[
        "gold.dim_crypto",
        "gold.dim_time",
        "gold.fact_crypto_hourly",
        "gold.fact_crypto_ticks",
    ],
)
