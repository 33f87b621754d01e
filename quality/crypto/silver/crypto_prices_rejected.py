"""silver.crypto_prices_rejected: the quarantine. A batch is one day of arrivals (ingestion_date)."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

PLACE = ["log_topic", "log_partition", "log_offset", "element_index"]
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
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known")
            for column in ["reason", "source", "ingested_at", "ingestion_date", *PLACE]
        ),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=PLACE, description="An element of the log is rejected once"),
        gxe.ExpectColumnValuesToBeInSet(
            column="reason", value_set=REASONS, description="Reasons are those of data-modeling/schema-design.md"
        ),
        gxe.UnexpectedRowsExpectation(
            description="ingestion_date is the day of ingested_at",
            unexpected_rows_query="select * from {batch} where ingestion_date <> cast(ingested_at as date)",
        ),
        gxe.UnexpectedRowsExpectation(
            severity="warning",
            description="Fewer prices are rejected than accepted",
            unexpected_rows_query="""
                select count(*) filter (reason <> 'not_a_trade') as refused
                from {batch}
                having count(*) filter (reason <> 'not_a_trade') > (
                    select count(*) from silver.crypto_price_updates
                    where cast(ingested_at as date) in (select ingestion_date from {batch})
                )
            """,
        ),
    ],
)
