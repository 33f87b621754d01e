"""Compares a lake with the records that were sent to it, value by value.

    python compare.py CATALOG_URL RECORDING.jsonl TRUTH.jsonl
    python compare.py CATALOG_URL digests

Intentionally independent: PyIceberg reads the lake; this script computes facts, minutes and hours from the accepted
elements. The first form prints a JSON report and exits 1 on a difference; the second prints the rows and a checksum of
each silver and gold table.
"""

import base64
import decimal
import hashlib
import json
import sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from pyiceberg.catalog import load_catalog

TOPIC = "crypto.prices.raw"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
decimal.getcontext().prec = 76


def lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def micros(time):
    return (time - EPOCH) // timedelta(microseconds=1)


def number(value):
    return None if value is None else Decimal(value).quantize(Decimal(1).scaleb(-24), decimal.ROUND_HALF_UP)


def rows(catalog, table, *columns):
    return catalog.load_table(table).scan(selected_fields=columns).to_arrow().to_pylist()


def keyed(pairs, report, name):
    found = {}
    for key, value in pairs:
        if key in found:
            report[f"{name}: doubled"] = report.get(f"{name}: doubled", 0) + 1
        found[key] = value
    return found


def recorded(path):
    for offset, record in enumerate(lines(path)):
        payload = (
            base64.b64decode(record["payload_base64"]) if "payload_base64" in record else record["payload"].encode()
        )
        yield offset, (TOPIC, 0, record["source"], micros(datetime.fromisoformat(record["ingested_at"])), payload)


def in_bronze(catalog):
    columns = ("log_topic", "log_partition", "log_offset", "source", "ingested_at", "payload", "payload_bytes")
    for row in rows(catalog, "bronze.crypto_ticks_raw", *columns):
        payload = row["payload_bytes"] if row["payload"] is None else row["payload"].encode()
        yield (
            row["log_offset"],
            (row["log_topic"], row["log_partition"], row["source"], micros(row["ingested_at"]), payload),
        )


def at(row):
    return row["log_offset"], row["element_index"]


class Average(Decimal):
    """An average that equals the lake's within the error of doubles and of rounding to 24 decimals."""

    __hash__ = Decimal.__hash__

    def __eq__(self, other):
        return abs(Decimal(self) - other) <= Decimal("1e-24") + abs(other) * Decimal("1e-14")

    def __ne__(self, other):
        return not self == other


def candle(updates, length_us):
    """Updates by coin and period, in order of event time, then offset."""
    periods = defaultdict(list)
    for (offset, element), (coin, at_us, price, volume, cap) in updates.items():
        periods[coin, at_us - at_us % length_us].append((at_us, offset, element, price, volume, cap))
    for key, members in periods.items():
        yield key, sorted(members, key=lambda member: member[:3])


def last_known(members, index):
    """DuckDB's arg_max ignores nulls."""
    return next((member[index] for member in reversed(members) if member[index] is not None), None)


def expected_minutes(updates):
    for key, members in candle(updates, MINUTE_US):
        prices = [member[3] for member in members]
        yield (
            key,
            (
                prices[-1],
                prices[0],
                max(prices),
                min(prices),
                members[-1][0],
                last_known(members, 4),
                last_known(members, 5),
                len(prices),
            ),
        )


def expected_hours(updates):
    for key, members in candle(updates, HOUR_US):
        prices = [member[3] for member in members]
        yield (
            key,
            (prices[0], max(prices), min(prices), prices[-1], Average(sum(prices) / len(prices)), None, len(prices)),
        )


def expected_facts(updates, payloads):
    for (offset, element), (coin, at_us, price, volume, cap) in updates.items():
        fields = payloads(offset)[element]
        yield (
            (offset, element),
            (
                coin,
                at_us // MINUTE_US,
                price,
                at_us,
                volume,
                cap,
                number(fields["price_change_percentage_1h_in_currency"]),
            ),
        )


def found_minutes(catalog):
    columns = (
        "crypto_id",
        "minute_at",
        "price",
        "price_first",
        "price_high",
        "price_low",
        "price_at",
        "volume_24h",
        "market_cap",
        "price_updates",
    )
    for row in rows(catalog, "silver.crypto_prices_clean", *columns):
        figures = (
            row["price"],
            row["price_first"],
            row["price_high"],
            row["price_low"],
            micros(row["price_at"]),
            row["volume_24h"],
            row["market_cap"],
        )
        yield (row["crypto_id"], micros(row["minute_at"])), (*figures, row["price_updates"])


def found_hours(catalog):
    columns = ("crypto_id", "hour_at", "open", "high", "low", "close", "avg_price", "total_volume", "price_updates")
    for row in rows(catalog, "gold.fact_crypto_hourly", *columns):
        prices = (row["open"], row["high"], row["low"], row["close"], row["avg_price"])
        yield (row["crypto_id"], micros(row["hour_at"])), (*prices, row["total_volume"], row["price_updates"])


def found_facts(catalog):
    columns = (
        "crypto_id",
        "time_id",
        "price_usd",
        "price_at",
        "volume_24h",
        "market_cap",
        "percent_change_1h",
        "log_offset",
        "element_index",
    )
    for row in rows(catalog, "gold.fact_crypto_ticks", *columns):
        figures = (row["volume_24h"], row["market_cap"], row["percent_change_1h"])
        yield at(row), (row["crypto_id"], row["time_id"], row["price_usd"], micros(row["price_at"]), *figures)


def found_updates(catalog):
    columns = ("crypto_id", "price_at", "price", "volume_24h", "market_cap", "log_offset", "element_index")
    for row in rows(catalog, "silver.crypto_price_updates", *columns):
        yield at(row), (row["crypto_id"], micros(row["price_at"]), row["price"], row["volume_24h"], row["market_cap"])


def compare(catalog, recording, truth):
    report = {}

    def check(name, wanted, found):
        wanted, found = keyed(wanted, report, name), keyed(found, report, name)
        differing = [key for key in sorted(wanted.keys() | found.keys()) if wanted.get(key) != found.get(key)]
        first = [
            {"key": str(key), "wanted": str(wanted.get(key))[:300], "found": str(found.get(key))[:300]}
            for key in differing[:3]
        ]
        report[name] = {"wanted": len(wanted), "found": len(found), "differences": len(differing), "first": first}

    sent = dict(recorded(recording))
    check("bronze records", sent.items(), in_bronze(catalog))

    verdicts = defaultdict(dict)
    for element in lines(truth):
        verdicts[element["verdict"]][element["offset"], element["element"]] = element
    updates = {
        key: (
            quote["coin_id"],
            quote["last_updated_us"],
            number(quote["price"]),
            number(quote["total_volume"]),
            number(quote["market_cap"]),
        )
        for key, quote in ((key, element["quote"]) for key, element in verdicts["accepted"].items())
    }
    check("accepted", updates.items(), found_updates(catalog))
    duplicates = (
        (key, (element["quote"]["coin_id"], element["quote"]["last_updated_us"]))
        for key, element in verdicts["duplicate"].items()
    )
    columns = ("crypto_id", "price_at", "log_offset", "element_index")
    check(
        "duplicates",
        duplicates,
        (
            (at(row), (row["crypto_id"], micros(row["price_at"])))
            for row in rows(catalog, "silver.crypto_price_duplicates", *columns)
        ),
    )
    rejected = ((key, element["reason"]) for key, element in verdicts["rejected"].items())
    found_rejected = rows(catalog, "silver.crypto_prices_rejected", "reason", "log_offset", "element_index")
    check("rejected", rejected, ((at(row), row["reason"]) for row in found_rejected))

    parsed = {}

    def payloads(offset):
        if offset not in parsed:
            parsed[offset] = json.loads(sent[offset][-1], parse_float=Decimal, parse_int=Decimal)
        return parsed[offset]

    check("facts", expected_facts(updates, payloads), found_facts(catalog))
    check("minutes", expected_minutes(updates), found_minutes(catalog))
    check("hours", expected_hours(updates), found_hours(catalog))
    report["rejected by reason"] = dict(Counter(element["reason"] for element in verdicts["rejected"].values()))
    print(json.dumps(report))
    return (
        1
        if any(
            "doubled" in name or (isinstance(part, dict) and part.get("differences", 0))
            for name, part in report.items()
        )
        else 0
    )


def digests(catalog):
    found = {}
    for layer in ("silver", "gold"):
        for identifier in sorted(catalog.list_tables(layer)):
            table = catalog.load_table(identifier).scan().to_arrow()
            texts = sorted(repr(sorted(row.items())) for row in table.to_pylist())
            found[".".join(identifier)] = [table.num_rows, hashlib.sha256("\n".join(texts).encode()).hexdigest()]
    print(json.dumps(found))
    return 0


def main():
    catalog = load_catalog("lake", type="rest", uri=sys.argv[1])
    return digests(catalog) if sys.argv[2:] == ["digests"] else compare(catalog, sys.argv[2], sys.argv[3])


if __name__ == "__main__":
    sys.exit(main())
