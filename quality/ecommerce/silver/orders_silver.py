"""silver.orders_silver: the current state of each order. A batch is one day (placed_date)."""

import great_expectations.expectations as gxe
from expectations import at_least, day_of, has_rows, known, no_rows, not_negative, unique
from great_expectations import ExpectationSuite

KNOWN = [
    "store",
    "order_id",
    "customer_id",
    "is_cancelled",
    "lines",
    "total",
    "placed_at",
    "updated_at",
    "last_event_id",
]

suite = ExpectationSuite(
    name="silver.orders_silver",
    expectations=[
        has_rows("The day has orders"),
        *known(*KNOWN),
        unique(["store", "order_id", "placed_at"], "An order has one state"),
        gxe.ExpectColumnValuesToBeBetween(column="quantity", min_value=1, description="An order has at least one item"),
        *not_negative("discount", "shipping"),
        at_least("updated_at", "placed_at"),
        day_of("placed_date", "placed_at"),
        no_rows(
            "A cancelled order has the status cancelled",
            "select * from {batch} where is_cancelled and status <> 'cancelled'",
        ),
        no_rows(
            "The last event of an order is an accepted event",
            "select * from {batch} where last_event_id not in (select identity from silver.order_events)",
        ),
    ],
)
