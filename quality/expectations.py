"""Expectations that suites of several pipelines share."""

import great_expectations.expectations as gxe

# The columns that identify an element in bronze.
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


def day_of(date, time):
    return no_rows(f"{date} is the day of {time}", f"select * from {{batch}} where {date} <> cast({time} as date)")


def references(column, key, description):
    """Expects the column's values in `layer.table.column`, the key."""
    table, _, key_column = key.rpartition(".")
    return no_rows(description, f"select * from {{batch}} where {column} not in (select {key_column} from {table})")


def versions_of(key, noun):
    """Expects that the versions of a key in a slowly changing dimension follow each other, the last one current."""
    return [
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="valid_to",
            column_B="valid_from",
            ignore_row_if="either_value_is_missing",
            description="A version ends after it begins",
        ),
        no_rows(
            f"A {noun} has exactly one current version",
            f"""
                select {key}, count(*) filter (is_current) as current_versions
                from {{batch}}
                group by {key}
                having count(*) filter (is_current) <> 1
            """,
        ),
        no_rows(
            "The current version is the one that has not ended",
            "select * from {batch} where is_current <> (valid_to is null)",
        ),
        no_rows(
            f"Versions of a {noun} follow each other without a gap or an overlap",
            f"""
                select *
                from (
                    select
                        {key}, valid_from, valid_to,
                        lead(valid_from) over (partition by {key} order by valid_from) as next_from
                    from {{batch}}
                ) as versions
                where valid_to is distinct from next_from
            """,
        ),
    ]
