"""Runs the work of a benchmark with a peer, PyIceberg, and prints its seconds as JSON.

    peers.py CATALOG_URL RECORDS COMMITS

Appends RECORDS messages of 170 bytes in one commit, then COMMITS appends of 250 messages, through the same catalog.
"""

import json
import sys
import time
from datetime import datetime, timedelta, timezone

import pyarrow as pa
from pyiceberg.catalog import load_catalog

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("payload", pa.string()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
        ("log_offset", pa.int64()),
    ]
)


def rows(first, count):
    start = datetime(2025, 10, 9, tzinfo=timezone.utc) + timedelta(microseconds=100 * first)
    payloads = [
        f'{{"e":"aggTrade","s":"BTCUSDT","a":{n},"p":"{60000 + n % 997}.{n % 89}"'.ljust(169) + "}"
        for n in range(first, first + count)
    ]
    times = [start + timedelta(microseconds=100 * n) for n in range(count)]
    return pa.Table.from_arrays(
        [
            pa.array(["bench"] * count),
            pa.array(payloads),
            pa.array(times, SCHEMA.field("ingested_at").type),
            pa.array(range(first, first + count), pa.int64()),
        ],
        schema=SCHEMA,
    )


def main():
    url, records, commits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    catalog = load_catalog("lake", type="rest", uri=url)
    catalog.create_namespace_if_not_exists("peer")
    table = catalog.create_table("peer.backlog", SCHEMA)
    backlog = rows(0, records)
    started = time.perf_counter()
    table.append(backlog)
    backlog_seconds = time.perf_counter() - started
    table = catalog.create_table("peer.commits", SCHEMA)
    durations = []
    for commit in range(commits):
        batch = rows(commit * 250, 250)
        started = time.perf_counter()
        table.append(batch)
        durations.append(time.perf_counter() - started)
    durations.sort()
    print(json.dumps({"backlog_seconds": backlog_seconds, "commit_p50_ms": 1000 * durations[len(durations) // 2]}))


if __name__ == "__main__":
    main()
