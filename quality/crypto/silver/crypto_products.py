"""silver.crypto_products: which coin an exchange's product is. Small, and checked whole."""

import great_expectations.expectations as gxe
from expectations import has_rows, known, unique
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="silver.crypto_products",
    expectations=[
        has_rows("Some products are known"),
        *known("source", "product", "crypto_id", "symbol", "quote"),
        unique(["source", "product"], "A product maps to one coin"),
        gxe.ExpectColumnValuesToBeInSet(
            column="quote", value_set=["USD", "USDT", "USDC"], description="Quotes are dollars, or coins worth one"
        ),
    ],
)
