"""silver.orders_rejected: rejected events. A batch is one day of arrivals (ingestion_date)."""

from expectations import ELEMENT, day_of, known, no_rows, unique
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="silver.orders_rejected",
    expectations=[
        *known("reason", "source", "ingested_at", "ingestion_date", *ELEMENT),
        unique(ELEMENT, "An element of the log is rejected once"),
        day_of("ingestion_date", "ingested_at"),
        no_rows(
            "Fewer events are rejected than accepted",
            """
                select count(*) as rejected
                from {batch}
                having count(*) > (
                    select count(*) from silver.order_events
                    where cast(ingested_at as date) in (select ingestion_date from {batch})
                )
            """,
            severity="warning",
        ),
    ],
)
