"""silver.crypto_prices_rejected: the quarantine. A batch is one day of arrivals (ingestion_date)."""

import great_expectations.expectations as gxe
from expectations import ELEMENT, day_of, known, no_rows, unique
from great_expectations import ExpectationSuite

REASONS = [
    "not_utf8",
    "empty_payload",
    "payload_too_large",
    "invalid_json",
    "unrecognised_shape",
    "not_a_trade",
    "element_not_object",
    "missing_id",
    "missing_price",
    "price_not_a_number",
    "price_not_positive",
    "price_out_of_range",
    "missing_time",
    "invalid_time",
    "late_event",
    "future_event",
]

suite = ExpectationSuite(
    name="silver.crypto_prices_rejected",
    expectations=[
        *known("reason", "source", "ingested_at", "ingestion_date", *ELEMENT),
        unique(ELEMENT, "An element of the log is rejected once"),
        gxe.ExpectColumnValuesToBeInSet(
            column="reason", value_set=REASONS, description="Reasons are listed in data-modeling/schema-design.md"
        ),
        day_of("ingestion_date", "ingested_at"),
        no_rows(
            "Fewer prices are rejected than accepted",
            """
                select count(*) filter (reason <> 'not_a_trade') as rejected
                from {batch}
                having count(*) filter (reason <> 'not_a_trade') > (
                    select count(*) from silver.crypto_price_updates
                    where cast(ingested_at as date) in (select ingestion_date from {batch})
                )
            """,
            severity="warning",
        ),
    ],
)
