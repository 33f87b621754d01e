"""gold.fact_crypto_ticks: one fact per accepted price. A batch is one day (price_date)."""

import great_expectations.expectations as gxe
from expectations import ELEMENT, day_of, has_rows, known, no_rows, references, unique
from great_expectations import ExpectationSuite
from prices import plausible_price

KNOWN = ["crypto_id", "time_id", "price_usd", "price_at", "price_date", "source"]

suite = ExpectationSuite(
    name="gold.fact_crypto_ticks",
    expectations=[
        has_rows("The day has facts"),
        *known(*KNOWN, *ELEMENT),
        unique(ELEMENT, "An element of the log has one fact"),
        plausible_price("price_usd"),
        gxe.ExpectColumnValuesToBeBetween(
            column="percent_change_1h", min_value=-100, description="No price falls by more than 100 percent"
        ),
        day_of("price_date", "price_at"),
        no_rows(
            "time_id is the minute of price_at",
            "select * from {batch} where time_id <> cast(floor(epoch(price_at) / 60) as bigint)",
        ),
        references("crypto_id", "gold.dim_crypto.crypto_id", "The coin of a fact is in dim_crypto"),
        references("time_id", "gold.dim_time.time_id", "The minute of a fact is in dim_time"),
        no_rows(
            "The day's facts are the day's accepted prices",
            """
                select *
                from (
                    select log_topic, log_partition, log_offset, element_index, crypto_id, price_usd from {batch}
                ) as facts
                full join (
                    select log_topic, log_partition, log_offset, element_index, crypto_id, price as price_usd
                    from silver.crypto_price_updates
                    where price_date in (select price_date from {batch})
                ) as accepted using (log_topic, log_partition, log_offset, element_index)
                where facts.crypto_id is distinct from accepted.crypto_id
                    or facts.price_usd is distinct from accepted.price_usd
            """,
        ),
    ],
)
