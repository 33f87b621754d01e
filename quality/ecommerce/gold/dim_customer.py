"""gold.dim_customer: every version of every customer (type 2 dimension). A batch is the whole table."""

import great_expectations.expectations as gxe
from expectations import has_rows, known, unique, versions_of
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="gold.dim_customer",
    expectations=[
        has_rows("The table has customers"),
        *known("customer_key", "customer_id", "valid_from", "is_current"),
        gxe.ExpectColumnValuesToBeUnique(column="customer_key", description="A version has one key"),
        unique(["customer_id", "valid_from"], "A customer has at most one version per start"),
        *versions_of("customer_id", "customer"),
    ],
)
