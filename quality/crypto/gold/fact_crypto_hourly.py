"""gold.fact_crypto_hourly: one candle per coin and hour with prices. A batch is one day (hour_date)."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

KNOWN = ["crypto_id", "hour_at", "open", "high", "low", "close", "avg_price", "price_updates", "hour_date"]


def at_least(higher, lower):
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=higher, column_B=lower, or_equal=True, description=f"{higher} is at least {lower}"
    )


suite = ExpectationSuite(
    name="gold.fact_crypto_hourly",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="The day has candles"),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known") for column in KNOWN),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["crypto_id", "hour_at"], description="A coin has one candle an hour"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="low",
            min_value=0,
            strict_min=True,
            max_value=1_000_000_000,
            description="Prices are positive and plausible",
        ),
        at_least("high", "open"),
        at_least("high", "close"),
        at_least("open", "low"),
        at_least("close", "low"),
        # An average keeps fifteen digits, so it may lie a little outside.
        gxe.UnexpectedRowsExpectation(
            description="The average lies between low and high",
            unexpected_rows_query="""
                select * from {batch}
                where avg_price::double
                    not between low::double * 0.99999999999999 - 1e-24 and high::double * 1.00000000000001 + 1e-24
            """,
        ),
        gxe.ExpectColumnValuesToBeBetween(column="total_volume", min_value=0, description="Volume is not negative"),
        gxe.ExpectColumnValuesToBeBetween(
            column="price_updates", min_value=1, description="A candle has at least one price"
        ),
        gxe.UnexpectedRowsExpectation(
            description="Hours begin at their first second, on the day of hour_date",
            unexpected_rows_query="""
                select * from {batch}
                where hour_at <> date_trunc('hour', hour_at) or hour_date <> cast(hour_at as date)
            """,
        ),
        gxe.UnexpectedRowsExpectation(
            description="The coin of a candle is in dim_crypto",
            unexpected_rows_query="""
                select * from {batch} where crypto_id not in (select crypto_id from gold.dim_crypto)
            """,
        ),
        gxe.UnexpectedRowsExpectation(
            description="The hour of a candle is in dim_time",
            unexpected_rows_query="select * from {batch} where hour_at not in (select timestamp from gold.dim_time)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="A candle counts the facts of its hour",
            unexpected_rows_query="""
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
