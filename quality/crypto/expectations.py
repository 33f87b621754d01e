"""Expectations that several suites of this pipeline share."""

import great_expectations.expectations as gxe

# The columns that name an element in bronze.
ELEMENT = ["log_topic", "log_partition", "log_offset", "element_index"]


def known(*columns):
    return [gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known") for column in columns]


def not_negative(*columns):
    return [
        gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, description=f"{column} is not negative")
        for column in columns
    ]


def has_rows(description):
    return gxe.ExpectTableRowCountToBeBetween(min_value=1, description=description)


def no_rows(description, query, **options):
    """Expects that the query, which selects invalid rows, returns none."""
    return gxe.UnexpectedRowsExpectation(description=description, unexpected_rows_query=query, **options)


def unique(columns, description):
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=columns, description=description)


def at_least(higher, lower):
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=higher, column_B=lower, or_equal=True, description=f"{higher} is at least {lower}"
    )


def plausible_price(column):
    return gxe.ExpectColumnValuesToBeBetween(
        column=column,
        min_value=0,
        strict_min=True,
        max_value=1_000_000_000,
        description="Prices are positive and plausible",
    )


def rank_from_one():
    return gxe.ExpectColumnValuesToBeBetween(column="market_cap_rank", min_value=1, description="Ranks begin at one")


def day_of(date, time):
    return no_rows(f"{date} is the day of {time}", f"select * from {{batch}} where {date} <> cast({time} as date)")


def references(column, key, description):
    """Expects the column's values in `layer.table.column`, the key."""
    table, _, key_column = key.rpartition(".")
    return no_rows(description, f"select * from {{batch}} where {column} not in (select {key_column} from {table})")
