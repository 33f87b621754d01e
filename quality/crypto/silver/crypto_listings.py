"""silver.crypto_listings: what sources say about coins, apart from prices. A batch is one day (listed_date)."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

KEY = ["source", "crypto_id", "listed_at", "is_page"]

suite = ExpectationSuite(
    name="silver.crypto_listings",
    expectations=[
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known")
            for column in [*KEY, "observed_at", "listed_date"]
        ),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=KEY, description="A source lists a coin once a minute"),
        gxe.ExpectColumnValuesToBeBetween(column="market_cap_rank", min_value=1, description="Ranks begin at one"),
        gxe.UnexpectedRowsExpectation(
            description="A listing has a symbol and a name, or neither",
            unexpected_rows_query="select * from {batch} where (symbol is null) <> (name is null)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="listed_at is the minute of observed_at, listed_date its day",
            unexpected_rows_query="""
                select * from {batch}
                where listed_at <> date_trunc('minute', observed_at) or listed_date <> cast(listed_at as date)
            """,
        ),
    ],
)
