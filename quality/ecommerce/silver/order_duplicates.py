"""silver.order_duplicates: repeated events, for reconciliation. A batch is one day (occurred_date)."""

from expectations import ELEMENT, known, no_rows, unique
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="silver.order_duplicates",
    expectations=[
        *known("identity", "is_conflicting", "occurred_date", "ingested_at", *ELEMENT),
        unique(ELEMENT, "An element of the log is repeated once"),
        no_rows(
            "A duplicate repeats an accepted event",
            """
                select repeated.* from {batch} as repeated
                anti join silver.order_events using (occurred_date, identity)
            """,
        ),
        no_rows(
            "Repeated events are equal",
            "select * from {batch} where is_conflicting",
            severity="warning",
        ),
    ],
)
