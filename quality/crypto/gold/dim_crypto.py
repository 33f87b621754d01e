"""gold.dim_crypto: every version of every coin (a slowly changing dimension, type 2). Small, and checked whole."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

KNOWN = ["crypto_key", "crypto_id", "symbol", "name", "valid_from", "is_current", "is_delisted"]

suite = ExpectationSuite(
    name="gold.dim_crypto",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="Some coins are known"),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column, description=f"{column} is known") for column in KNOWN),
        gxe.ExpectColumnValuesToBeUnique(column="crypto_key", description="A version has one key"),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["crypto_id", "valid_from"], description="A coin has at most one version per start"
        ),
        gxe.ExpectColumnValuesToBeBetween(column="market_cap_rank", min_value=1, description="Ranks begin at one"),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="valid_to",
            column_B="valid_from",
            ignore_row_if="either_value_is_missing",
            description="A version ends after it begins",
        ),
        gxe.UnexpectedRowsExpectation(
            description="A coin has exactly one current version",
            unexpected_rows_query="""
                select crypto_id, count(*) filter (is_current) as current_versions
                from {batch}
                group by crypto_id
                having count(*) filter (is_current) <> 1
            """,
        ),
        gxe.UnexpectedRowsExpectation(
            description="The current version is the one that has not ended",
            unexpected_rows_query="select * from {batch} where is_current <> (valid_to is null)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="Versions of a coin follow each other without a gap or an overlap",
            unexpected_rows_query="""
                select *
                from (
                    select
                        crypto_id, valid_from, valid_to,
                        lead(valid_from) over (partition by crypto_id order by valid_from) as next_from
                    from {batch}
                ) as versions
                where valid_to is distinct from next_from
            """,
        ),
    ],
)
