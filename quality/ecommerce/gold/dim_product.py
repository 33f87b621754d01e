"""gold.dim_product: one row per product. A batch is the whole table."""

import great_expectations.expectations as gxe
from expectations import at_least, has_rows, known, not_negative
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="gold.dim_product",
    expectations=[
        has_rows("The table has products"),
        *known("product_id", "unit_price", "first_ordered_at", "last_ordered_at"),
        gxe.ExpectColumnValuesToBeUnique(column="product_id", description="A product has one row"),
        *not_negative("unit_price"),
        at_least("last_ordered_at", "first_ordered_at"),
    ],
)
