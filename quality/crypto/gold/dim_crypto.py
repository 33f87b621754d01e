"""gold.dim_crypto: every version of every coin (a slowly changing dimension, type 2). Small, and checked whole."""

import great_expectations.expectations as gxe
from expectations import has_rows, known, no_rows, rank_from_one, unique
from great_expectations import ExpectationSuite

KNOWN = ["crypto_key", "crypto_id", "symbol", "name", "valid_from", "is_current", "is_delisted"]

suite = ExpectationSuite(
    name="gold.dim_crypto",
    expectations=[
        has_rows("Some coins are known"),
        *known(*KNOWN),
        gxe.ExpectColumnValuesToBeUnique(column="crypto_key", description="A version has one key"),
        unique(["crypto_id", "valid_from"], "A coin has at most one version per start"),
        rank_from_one(),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="valid_to",
            column_B="valid_from",
            ignore_row_if="either_value_is_missing",
            description="A version ends after it begins",
        ),
        no_rows(
            "A coin has exactly one current version",
            """
                select crypto_id, count(*) filter (is_current) as current_versions
                from {batch}
                group by crypto_id
                having count(*) filter (is_current) <> 1
            """,
        ),
        no_rows(
            "The current version is the one that has not ended",
            "select * from {batch} where is_current <> (valid_to is null)",
        ),
        no_rows(
            "Versions of a coin follow each other without a gap or an overlap",
            """
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
