"""silver.crypto_price_updates: every price that counts, once. A batch is one day (price_date)."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

KNOWN = ["identity", "crypto_id", "symbol", "source", "price", "price_at", "price_date", "ingested_at"]
PLACE = ["log_topic", "log_partition", "log_offset", "element_index"]

suite = ExpectationSuite(
    name="silver.crypto_price_updates",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="The day has prices"),
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known")
            for column in KNOWN + PLACE
        ),
        gxe.ExpectColumnValuesToBeUnique(column="identity", description="An event counts once"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=PLACE, description="An element of the log counts once"),
        gxe.ExpectColumnValuesToBeBetween(
            column="price",
            min_value=0,
            strict_min=True,
            max_value=1_000_000_000,
            description="Prices are positive and plausible",
        ),
        *(
            gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, description=f"{column} is not negative")
            for column in ["volume_24h", "market_cap", "traded_volume", "traded_volume_usd"]
        ),
        gxe.UnexpectedRowsExpectation(
            description="price_date is the day of price_at",
            unexpected_rows_query="select * from {batch} where price_date <> cast(price_at as date)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="Prices are at most five minutes older or newer than their arrival, unless they fill a gap",
            unexpected_rows_query="""
                select * from {batch}
                where price_at > ingested_at + interval 5 minute
                    or (not coalesce(is_backfill, false) and price_at < ingested_at - interval 5 minute)
            """,
        ),
        # The check passes `fresh_after`: 15 minutes ago for today in a live lake, else the day's beginning.
        gxe.ExpectColumnMaxToBeBetween(
            column="price_at",
            min_value={"$PARAMETER": "fresh_after"},
            severity="warning",
            description="The newest price is fresh",
        ),
    ],
)
