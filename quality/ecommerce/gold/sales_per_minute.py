"""gold.sales_per_minute: total sales per store and minute. A batch is one day (placed_date)."""

from expectations import day_of, has_rows, known, no_rows, not_negative, unique
from great_expectations import ExpectationSuite

suite = ExpectationSuite(
    name="gold.sales_per_minute",
    expectations=[
        has_rows("The day has sales"),
        *known("store", "minute_at", "sales", "orders", "items", "cancelled_orders", "cancelled_sales", "placed_date"),
        unique(["store", "minute_at"], "A store has one row a minute"),
        *not_negative("orders", "items", "cancelled_orders"),
        day_of("placed_date", "minute_at"),
        no_rows(
            "Sales are the totals of the day's orders",
            """
                select * from (
                    select
                        (select sum(sales + cancelled_sales) from {batch}) as of_minutes,
                        (
                            select sum(total) from silver.orders_silver
                            where placed_date in (select placed_date from {batch})
                        ) as of_orders
                ) as sums
                where of_minutes <> of_orders
            """,
        ),
    ],
)
