"""gold.fact_crypto_ticks: a fact for every price that silver kept. A batch is one day (price_date)."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

PLACE = ["log_topic", "log_partition", "log_offset", "element_index"]
KNOWN = ["crypto_id", "time_id", "price_usd", "price_at", "price_date", "source"]

suite = ExpectationSuite(
    name="gold.fact_crypto_ticks",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="The day has facts"),
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known")
            for column in KNOWN + PLACE
        ),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=PLACE, description="A price is one fact"),
        gxe.ExpectColumnValuesToBeBetween(
            column="price_usd",
            min_value=0,
            strict_min=True,
            max_value=1_000_000_000,
            description="Prices are positive and plausible",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="percent_change_1h", min_value=-100, description="No price falls by more than 100 percent"
        ),
        gxe.UnexpectedRowsExpectation(
            description="price_date is the day of price_at",
            unexpected_rows_query="select * from {batch} where price_date <> cast(price_at as date)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="time_id is the minute of price_at",
            unexpected_rows_query="select * from {batch} where time_id <> cast(floor(epoch(price_at) / 60) as bigint)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="The coin of a fact is in dim_crypto",
            unexpected_rows_query="""
                select * from {batch} where crypto_id not in (select crypto_id from gold.dim_crypto)
            """,
        ),
        gxe.UnexpectedRowsExpectation(
            description="The minute of a fact is in dim_time",
            unexpected_rows_query="select * from {batch} where time_id not in (select time_id from gold.dim_time)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="The day's facts are the day's accepted prices",
            unexpected_rows_query="""
                select *
                from (
                    select log_topic, log_partition, log_offset, element_index, crypto_id, price_usd from {batch}
                ) as facts
                full join (
                    select log_topic, log_partition, log_offset, element_index, crypto_id, price as price_usd
                    from silver.crypto_price_updates
                    where price_date in (select price_date from {batch})
                ) as accepted using (log_topic, log_partition, log_offset, element_index)
                where facts.crypto_id is distinct from accepted.crypto_id
                    or facts.price_usd is distinct from accepted.price_usd
            """,
        ),
    ],
)
