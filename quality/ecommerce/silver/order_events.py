"""silver.order_events: accepted order events. A batch is one day (occurred_date)."""

import great_expectations.expectations as gxe
from expectations import ELEMENT, at_least, day_of, has_rows, known, no_rows, not_negative, unique
from great_expectations import ExpectationSuite

KNOWN = [
    "identity",
    "store",
    "order_id",
    "customer_id",
    "event",
    "lines",
    "quantity",
    "total",
    "placed_at",
    "occurred_at",
]
EVENTS = ["order_created", "order_updated", "order_cancelled"]

suite = ExpectationSuite(
    name="silver.order_events",
    expectations=[
        has_rows("The day has events"),
        *known(*KNOWN, *ELEMENT),
        unique(ELEMENT, "An element of the log is accepted once"),
        gxe.ExpectColumnValuesToBeUnique(column="identity", description="An event is accepted once"),
        gxe.ExpectColumnValuesToBeInSet(column="event", value_set=EVENTS, description="Events are of a known kind"),
        gxe.ExpectColumnValuesToBeBetween(column="quantity", min_value=1, description="An order has at least one item"),
        *not_negative("discount", "shipping"),
        at_least("occurred_at", "placed_at"),
        day_of("occurred_date", "occurred_at"),
        no_rows(
            "Few events are late",
            """
                select count_if(is_late) as late, count(*) as events
                from {batch}
                having count_if(is_late) * 10 > count(*)
            """,
            severity="warning",
        ),
    ],
)
