"""gold.fact_orders: one row per order line. A batch is one day (placed_date)."""

import great_expectations.expectations as gxe
from expectations import has_rows, known, no_rows, not_negative, references, unique
from great_expectations import ExpectationSuite

KNOWN = [
    "store",
    "order_id",
    "line_number",
    "customer_id",
    "product_id",
    "quantity",
    "unit_price",
    "amount",
    "placed_at",
]

suite = ExpectationSuite(
    name="gold.fact_orders",
    expectations=[
        has_rows("The day has order lines"),
        *known(*KNOWN),
        unique(["store", "order_id", "placed_at", "line_number"], "An order has each line once"),
        gxe.ExpectColumnValuesToBeBetween(column="quantity", min_value=1, description="A line has at least one item"),
        *not_negative("unit_price", "amount", "order_discount", "order_shipping"),
        no_rows("Amounts are quantity times price", "select * from {batch} where amount <> quantity * unit_price"),
        references("customer_id", "gold.dim_customer.customer_id", "The customer of a line is in dim_customer"),
        references("product_id", "gold.dim_product.product_id", "The product of a line is in dim_product"),
        no_rows(
            "The lines of an order add up to its total",
            """
                select
                    store, order_id, placed_at,
                    sum(amount - order_discount + order_shipping) as of_lines, any_value(total) as of_order
                from {batch}
                inner join silver.orders_silver using (store, order_id, placed_at)
                group by all
                having sum(amount - order_discount + order_shipping) <> any_value(total)
            """,
        ),
    ],
)
