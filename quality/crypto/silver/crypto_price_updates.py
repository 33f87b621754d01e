"""silver.crypto_price_updates: every accepted price, once. A batch is one day (price_date)."""

import great_expectations.expectations as gxe
from expectations import ELEMENT, day_of, has_rows, known, no_rows, not_negative, unique
from great_expectations import ExpectationSuite
from prices import plausible_price

KNOWN = ["identity", "crypto_id", "symbol", "source", "price", "price_at", "price_date", "ingested_at"]

suite = ExpectationSuite(
    name="silver.crypto_price_updates",
    expectations=[
        has_rows("The day has prices"),
        *known(*KNOWN, *ELEMENT),
        gxe.ExpectColumnValuesToBeUnique(column="identity", description="An event is accepted once"),
        unique(ELEMENT, "An element of the log is accepted once"),
        plausible_price("price"),
        *not_negative("volume_24h", "market_cap", "traded_volume", "traded_volume_usd"),
        day_of("price_date", "price_at"),
        no_rows(
            "Prices are no more than five minutes older or newer than their arrival, unless they are backfilled",
            """
                select * from {batch}
                where price_at > ingested_at + interval 5 minute
                    or (not coalesce(is_backfill, false) and price_at < ingested_at - interval 5 minute)
            """,
        ),
        # The check passes `fresh_after`: 15 minutes ago for today in a live lake, else the start of the day.
        gxe.ExpectColumnMaxToBeBetween(
            column="price_at",
            min_value={"$PARAMETER": "fresh_after"},
            severity="warning",
            description="The newest price is fresh",
        ),
    ],
)
