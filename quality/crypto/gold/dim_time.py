"""gold.dim_time: one row per minute. A batch is the whole table."""

import great_expectations.expectations as gxe
from expectations import known, no_rows
from great_expectations import ExpectationSuite

COLUMNS = ["time_id", "timestamp", "date", "hour", "day", "week", "month", "quarter", "year", "is_trading_hour"]

suite = ExpectationSuite(
    name="gold.dim_time",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1_440, description="The table has at least one day"),
        *known(*COLUMNS),
        gxe.ExpectColumnValuesToBeUnique(column="time_id", description="A minute has one row"),
        no_rows(
            "time_id counts the minutes since 1970", "select * from {batch} where time_id * 60 <> epoch(timestamp)"
        ),
        no_rows(
            "The date and time parts match the timestamp",
            """
                select * from {batch}
                where (date, hour, day, week, month, quarter, year) is distinct from (
                    cast(timestamp as date), extract(hour from timestamp), extract(day from timestamp),
                    extract(week from timestamp), extract(month from timestamp),
                    extract(quarter from timestamp), extract(year from timestamp)
                )
            """,
        ),
        no_rows(
            "A day has all of its minutes",
            "select date, count(*) as minutes from {batch} group by date having count(*) <> 1440",
        ),
    ],
)
