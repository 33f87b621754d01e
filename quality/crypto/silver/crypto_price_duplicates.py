"""silver.crypto_price_duplicates: repeated events, for reconciliation. A batch is one day (price_date)."""

from expectations import ELEMENT, known, no_rows, unique
from great_expectations import ExpectationSuite

KNOWN = ["identity", "crypto_id", "source", "price_at", "price_date", "ingested_at"]

suite = ExpectationSuite(
    name="silver.crypto_price_duplicates",
    expectations=[
        *known(*KNOWN, *ELEMENT),
        unique(ELEMENT, "An element of the log is repeated once"),
        no_rows(
            "A duplicate repeats an accepted price",
            """
                select repeated.* from {batch} as repeated
                anti join silver.crypto_price_updates using (price_date, identity)
            """,
        ),
    ],
)
