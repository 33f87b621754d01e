"""gold.dim_crypto: every version of every coin (type 2 dimension). A batch is the whole table."""

import great_expectations.expectations as gxe
from expectations import has_rows, known, unique, versions_of
from great_expectations import ExpectationSuite
from prices import rank_from_one

KNOWN = ["crypto_key", "crypto_id", "symbol", "name", "valid_from", "is_current", "is_delisted"]

suite = ExpectationSuite(
    name="gold.dim_crypto",
    expectations=[
        has_rows("The table has coins"),
        *known(*KNOWN),
        gxe.ExpectColumnValuesToBeUnique(column="crypto_key", description="A version has one key"),
        unique(["crypto_id", "valid_from"], "A coin has at most one version per start"),
        rank_from_one(),
        *versions_of("crypto_id", "coin"),
    ],
)
