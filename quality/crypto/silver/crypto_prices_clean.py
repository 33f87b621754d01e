"""silver.crypto_prices_clean: one row per coin and minute with prices. A batch is one day (price_date)."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

KNOWN = [
    "crypto_id",
    "symbol",
    "minute_at",
    "price",
    "price_first",
    "price_high",
    "price_low",
    "price_at",
    "price_sum",
    "price_updates",
    "source",
    "price_date",
]


def at_least(higher, lower):
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=higher, column_B=lower, or_equal=True, description=f"{higher} is at least {lower}"
    )


suite = ExpectationSuite(
    name="silver.crypto_prices_clean",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="The day has minutes"),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known") for column in KNOWN),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["crypto_id", "minute_at"], description="A coin has one row a minute"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="price_low",
            min_value=0,
            strict_min=True,
            max_value=1_000_000_000,
            description="Prices are positive and plausible",
        ),
        at_least("price_high", "price"),
        at_least("price_high", "price_first"),
        at_least("price", "price_low"),
        at_least("price_first", "price_low"),
        gxe.ExpectColumnValuesToBeBetween(
            column="price_updates", min_value=1, description="A minute has at least one price"
        ),
        gxe.UnexpectedRowsExpectation(
            description="Minutes begin at their first second",
            unexpected_rows_query="select * from {batch} where minute_at <> date_trunc('minute', minute_at)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="price_date is the day of minute_at",
            unexpected_rows_query="select * from {batch} where price_date <> cast(minute_at as date)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="The latest price lies within its minute",
            unexpected_rows_query="select * from {batch} where date_trunc('minute', price_at) <> minute_at",
        ),
        gxe.UnexpectedRowsExpectation(
            description="The sum of prices lies between its lowest and its highest",
            unexpected_rows_query="""
                select * from {batch}
                where price_sum not between price_low * price_updates and price_high * price_updates
            """,
        ),
        gxe.UnexpectedRowsExpectation(
            description="The day's minutes hold every accepted price",
            unexpected_rows_query="""
                select sum(price_updates) as in_minutes, any_value(accepted) as accepted
                from {batch}, (
                    select count(*) as accepted from silver.crypto_price_updates
                    where price_date in (select price_date from {batch})
                )
                having sum(price_updates) <> any_value(accepted)
            """,
        ),
    ],
)
