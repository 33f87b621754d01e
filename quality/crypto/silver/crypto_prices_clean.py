"""silver.crypto_prices_clean: one row per coin and minute with prices. A batch is one day (price_date)."""

import great_expectations.expectations as gxe
from expectations import at_least, day_of, has_rows, known, no_rows, unique
from great_expectations import ExpectationSuite
from prices import plausible_price

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

suite = ExpectationSuite(
    name="silver.crypto_prices_clean",
    expectations=[
        has_rows("The day has minutes"),
        *known(*KNOWN),
        unique(["crypto_id", "minute_at"], "A coin has one row a minute"),
        plausible_price("price_low"),
        at_least("price_high", "price"),
        at_least("price_high", "price_first"),
        at_least("price", "price_low"),
        at_least("price_first", "price_low"),
        gxe.ExpectColumnValuesToBeBetween(
            column="price_updates", min_value=1, description="A minute has at least one price"
        ),
        no_rows(
            "Minutes begin at their first second",
            "select * from {batch} where minute_at <> date_trunc('minute', minute_at)",
        ),
        day_of("price_date", "minute_at"),
        no_rows(
            "The latest price is within its minute",
            "select * from {batch} where date_trunc('minute', price_at) <> minute_at",
        ),
        no_rows(
            "The average price is between the lowest and the highest price",
            """
                select * from {batch}
                where price_sum not between price_low * price_updates and price_high * price_updates
            """,
        ),
        no_rows(
            "The day's minutes include every accepted price",
            """
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
