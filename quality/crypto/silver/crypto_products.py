"""silver.crypto_products: which coin an exchange's product is. Small, and checked whole."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="silver.crypto_products",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="Some products are known"),
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known")
            for column in ["source", "product", "crypto_id", "symbol", "quote"]
        ),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["source", "product"], description="A product maps to one coin"
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="quote", value_set=["USD", "USDT", "USDC"], description="Quotes are dollars, or coins worth one"
        ),
    ],
)
