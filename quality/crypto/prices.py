"""Expectations that several suites of prices share."""

import great_expectations.expectations as gxe


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
