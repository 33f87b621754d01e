"""gold.fact_crypto_hourly: one candle per coin and hour with prices. A batch is one day (hour_date)."""

import great_expectations.expectations as gxe
from expectations import at_least, has_rows, known, no_rows, references, unique
from great_expectations import ExpectationSuite
from prices import plausible_price

KNOWN = ["crypto_id", "hour_at", "open", "high", "low", "close", "avg_price", "price_updates", "hour_date"]

suite = ExpectationSuite(
    name="gold.fact_crypto_hourly",
    expectations=[
        has_rows("The day has candles"),
        *known(*KNOWN),
        unique(["crypto_id", "hour_at"], "A coin has one candle an hour"),
        plausible_price("low"),
        at_least("high", "open"),
        at_least("high", "close"),
        at_least("open", "low"),
        at_least("close", "low"),
        # An average is rounded to fifteen digits, so it may be slightly outside.
        no_rows(
            "The average is between low and high",
            """
                select * from {batch}
                where avg_price::double
                    not between low::double * 0.99999999999999 - 1e-24 and high::double * 1.00000000000001 + 1e-24
            """,
        ),
        gxe.ExpectColumnValuesToBeBetween(column="total_volume", min_value=0, description="Volume is not negative"),
        gxe.ExpectColumnValuesToBeBetween(
            column="price_updates", min_value=1, description="A candle has at least one price"
        ),
        no_rows(
            "Hours begin at their first second, on the day of hour_date",
            "select * from {batch} where hour_at <> date_trunc('hour', hour_at) or hour_date <> cast(hour_at as date)",
        ),
        references("crypto_id", "gold.dim_crypto.crypto_id", "The coin of a candle is in dim_crypto"),
        references("hour_at", "gold.dim_time.timestamp", "The hour of a candle is in dim_time"),
        no_rows(
            "price_updates is the number of facts of the hour",
            """
                select candles.crypto_id, candles.hour_at, candles.price_updates, facts.in_facts
                from {batch} as candles
                full join (
                    select crypto_id, date_trunc('hour', price_at) as hour_at, count(*) as in_facts
                    from gold.fact_crypto_ticks
                    where price_date in (select hour_date from {batch})
                    group by all
                ) as facts using (crypto_id, hour_at)
                where candles.price_updates is distinct from facts.in_facts
            """,
        ),
    ],
)
