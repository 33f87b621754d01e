"""Compares a lake's updates, minutes and hours with those computed from a recorded WebSocket session, by value.

    python exchange_trades.py CATALOG_URL SESSION.txt.gz PRODUCTS.csv

Intentionally independent: PyIceberg reads, json and Decimal compute. Prints a JSON report; exits 1 on a difference.
"""

import csv
import gzip
import json
import re
import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from pyiceberg.catalog import load_catalog

SOURCES = {"coinbase": "coinbase", "binance": "binance", "kraken": "kraken"}
SKEW = timedelta(minutes=5)
USD = Decimal("1e-18")


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def trades_of(message):
    """(product, id, price, amount, time) of each trade in a message."""
    event = message.get("data", message)
    if isinstance(event, dict) and event.get("e") == "aggTrade":
        at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=int(event["T"]))
        yield event["s"], event["a"], Decimal(event["p"]), Decimal(event["q"]), at
    elif message.get("type") in ("match", "last_match"):
        yield (
            message["product_id"],
            message["trade_id"],
            Decimal(message["price"]),
            Decimal(message["size"]),
            instant(message["time"]),
        )
    elif message.get("channel") == "trade":
        for trade in message["data"]:
            yield trade["symbol"], trade["trade_id"], trade["price"], trade["qty"], instant(trade["timestamp"])


def read_session(path):
    """(source, time of receipt, message) in file order."""
    source = None
    with gzip.open(path, "rt") as file:
        for line in file:
            address = re.match(r"wss://(\S+)", line)
            received = re.match(r"(\d+(?:\.\d+)?): (.*)", line)
            if address:
                source = next((name for name in SOURCES if name in address[1]), source)
            elif received:
                at = datetime.fromtimestamp(int(Decimal(received[1]) * 1_000_000) / 1_000_000, timezone.utc)
                yield source, at, json.loads(received[2], parse_float=Decimal, parse_int=Decimal)


def expected(path, products_path):
    with open(products_path, newline="") as file:
        coins = {(row["source"], row["product"]): row["crypto_id"] for row in csv.DictReader(file)}
    updates, late, known = [], 0, set()
    for source, received_at, message in read_session(path):
        if not isinstance(message, dict):
            continue
        for product, number, price, amount, at in trades_of(message):
            if not received_at - SKEW <= at <= received_at + SKEW:
                late += 1
            elif (source, product, number, at.date()) not in known:
                known.add((source, product, number, at.date()))
                coin = coins.get((source, product))
                subject = coin or f"{source}:{product}"
                updates.append((subject, product, int(number), price, amount, amount * price if coin else None, at))
    return updates, late


def candles(updates, length):
    spans = defaultdict(list)
    for coin, product, number, price, _, value, at in updates:
        start = at.replace(second=0, microsecond=0, **({"minute": 0} if length == "hour" else {}))
        spans[coin, start].append((at, product, number, price, value))
    rows = set()
    for (coin, start), members in spans.items():
        # A session has one source; trades of equal time are ordered by product, then by number.
        members.sort(key=lambda member: member[:3])
        prices = [member[3] for member in members]
        values = [member[4] for member in members if member[4] is not None]
        total = sum(values).quantize(USD) if values else None
        rows.add((coin, start, prices[0], max(prices), min(prices), prices[-1], total, len(members)))
    return rows


def rows_of(table, columns):
    found = [
        tuple(row[name] for name in columns)
        for row in table.scan(selected_fields=tuple(columns)).to_arrow().to_pylist()
    ]
    assert len(set(found)) == len(found), f"{table.name()} has a row twice"
    return set(found)


def main():
    url, session, products = sys.argv[1:]
    lake = load_catalog("lake", type="rest", uri=url)
    updates, late = expected(session, products)
    wanted = {
        "updates": {
            (coin, product, number, price, amount, at) for coin, product, number, price, amount, _, at in updates
        },
        "minutes": candles(updates, "minute"),
        "hours": candles(updates, "hour"),
    }
    ohlc = ["crypto_id", "{0}_at", "{1}", "{2}", "{3}", "{4}", "{5}", "price_updates"]
    minute = [
        name.format("minute", "price_first", "price_high", "price_low", "price", "traded_volume_usd") for name in ohlc
    ]
    hour = [name.format("hour", "open", "high", "low", "close", "total_volume") for name in ohlc]
    found = {
        "updates": rows_of(
            lake.load_table("silver.crypto_price_updates"),
            ["crypto_id", "product", "trade_number", "price", "traded_volume", "price_at"],
        ),
        "minutes": rows_of(lake.load_table("silver.crypto_prices_clean"), minute),
        "hours": rows_of(lake.load_table("gold.fact_crypto_hourly"), hour),
    }
    report = {"late": late}
    for name, rows in wanted.items():
        differences = rows ^ found[name]
        report[name] = len(rows)
        report[f"{name}_differing"] = [str(row) for row in sorted(differences, key=str)[:4]]
    print(json.dumps(report))
    return 1 if any(value for key, value in report.items() if key.endswith("_differing")) else 0


if __name__ == "__main__":
    sys.exit(main())
