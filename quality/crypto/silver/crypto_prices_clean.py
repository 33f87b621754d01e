"""silver.crypto_prices_clean: one row per coin and minute."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="silver.crypto_prices_clean",
    expectations=[
        gxe.ExpectColumnValuesToBeBetween(
            column="price",
            min_value=0,
            strict_min=True,
            max_value=1_000_000_000,
            description="Prices are positive, and none is absurd",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where minute_at <> date_trunc('minute', minute_at)",
            description="Minutes begin at their first second",
        ),
    ],
)
