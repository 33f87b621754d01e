"""silver.crypto_price_duplicates: repeated events, for reconciliation. A batch is one day (price_date)."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

PLACE = ["log_topic", "log_partition", "log_offset", "element_index"]
KNOWN = ["identity", "crypto_id", "source", "price_at", "price_date", "ingested_at"]

suite = ExpectationSuite(
    name="silver.crypto_price_duplicates",
    expectations=[
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known")
            for column in KNOWN + PLACE
        ),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=PLACE, description="An element of the log is repeated once"),
        gxe.UnexpectedRowsExpectation(
            description="A duplicate repeats an accepted price",
            unexpected_rows_query="""
                select repeated.* from {batch} as repeated
                anti join silver.crypto_price_updates using (price_date, identity)
            """,
        ),
    ],
)
