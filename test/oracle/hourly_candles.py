"""Compares a lake's hourly candles with those computed from the candle file, as decimals, by value.

    python hourly_candles.py CATALOG_URL CANDLES.csv.gz

Intentionally independent: PyIceberg reads, the csv module and Decimal compute. Prints a JSON report; exits 1 on a
difference.
"""

import csv
import gzip
import json
import sys
from collections import defaultdict
from datetime import datetime, timezone
from decimal import Decimal

from pyiceberg.catalog import load_catalog

HOUR_MS = 3_600_000


def expected(path):
    hours = defaultdict(list)
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            coin = (row.get("symbol") or row["pair"]).lower()
            at = int(row["open_time_ms"])
            hours[coin, at - at % HOUR_MS].append((at, row))
    candles = {}
    for (coin, hour), rows in hours.items():
        rows.sort(key=lambda entry: entry[0])
        prices = [[Decimal(row[name]) for name in ("open", "high", "low", "close")] for _, row in rows]
        candles[coin, hour] = (
            prices[0][0],
            max(price[1] for price in prices),
            min(price[2] for price in prices),
            prices[-1][3],
            sum(Decimal(row["volume"]) * price[3] for (_, row), price in zip(rows, prices, strict=True)),
            4 * len(rows),
        )
    return candles


def actual(url):
    table = load_catalog("lake", type="rest", uri=url).load_table("gold.fact_crypto_hourly")
    columns = ["crypto_id", "hour_at", "open", "high", "low", "close", "total_volume", "price_updates"]
    candles = {}
    for row in table.scan(selected_fields=tuple(columns)).to_arrow().to_pylist():
        hour = int(row["hour_at"].astimezone(timezone.utc).timestamp() * 1000)
        key = row["crypto_id"], hour
        assert key not in candles, f"{key} occurs twice"
        candles[key] = tuple(row[name] for name in columns[2:])
    return candles


def main():
    wanted, found = expected(sys.argv[2]), actual(sys.argv[1])
    differences = [
        {
            "coin": key[0],
            "hour": datetime.fromtimestamp(key[1] / 1000, timezone.utc).isoformat(),
            "wanted": str(wanted.get(key)),
            "found": str(found.get(key)),
        }
        for key in sorted(wanted.keys() | found.keys())
        if wanted.get(key) != found.get(key)
    ]
    print(
        json.dumps(
            {"wanted": len(wanted), "found": len(found), "differences": len(differences), "first": differences[:3]}
        )
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
