"""silver.crypto_products: the coin of each exchange product. A batch is the whole table."""

import great_expectations.expectations as gxe
from expectations import has_rows, known, unique
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="silver.crypto_products",
    expectations=[
        has_rows("The table has products"),
        *known("source", "product", "crypto_id", "symbol", "quote"),
        unique(["source", "product"], "A product maps to one coin"),
        gxe.ExpectColumnValuesToBeInSet(
            column="quote", value_set=["USD", "USDT", "USDC"], description="Quotes are dollars or coins worth a dollar"
        ),
    ],
)
