"""silver.crypto_listings: the attributes of each coin by source. A batch is one day (listed_date)."""

from expectations import known, no_rows, unique
from great_expectations import ExpectationSuite
from prices import rank_from_one

KEY = ["source", "crypto_id", "listed_at", "is_page"]

suite = ExpectationSuite(
    name="silver.crypto_listings",
    expectations=[
        *known(*KEY, "observed_at", "listed_date"),
        unique(KEY, "A source lists a coin once a minute"),
        rank_from_one(),
        no_rows(
            "A listing has a symbol and a name, or neither",
            "select * from {batch} where (symbol is null) <> (name is null)",
        ),
        no_rows(
            "listed_at is the minute of observed_at, listed_date its day",
            """
                select * from {batch}
                where listed_at <> date_trunc('minute', observed_at) or listed_date <> cast(listed_at as date)
            """,
        ),
    ],
)
