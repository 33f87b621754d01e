"""Reads a bronze table, or appends to it, through the REST catalog with PyIceberg. Usage: bronze.py URL read|append."""

import json
import sys
from datetime import date, datetime, timezone

import pyarrow as pa
from pyiceberg.catalog import load_catalog

url, action = sys.argv[1:3]
table = load_catalog("lake", type="rest", uri=url).load_table("bronze.ticks_raw")

if action == "append":
    at = datetime(2025, 10, 10, 12, tzinfo=timezone.utc)
    row = {
        "source": "pyiceberg",
        "payload": "by another writer",
        "payload_bytes": None,
        "payload_size_bytes": None,
        "ingested_at": at,
        "ingestion_date": date(2025, 10, 10),
        "log_topic": "elsewhere",
        "log_partition": 99,
        "log_offset": 0,
    }
    table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))
else:
    rows = table.scan().to_arrow().sort_by([("log_partition", "ascending"), ("log_offset", "ascending")]).to_pylist()
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    for row in rows:
        since = row["ingested_at"] - epoch
        row["ingested_at_us"] = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
        del row["ingested_at"]
        payload = row.pop("payload_bytes")
        row["payload_hex"] = None if payload is None else payload.hex().upper()
        row["ingestion_date"] = row["ingestion_date"].isoformat()
    skipped = table.scan(row_filter="log_offset >= 1000000").plan_files()
    print(json.dumps({"rows": rows, "files": len(table.inspect.files()), "files_past_the_end": len(list(skipped))}))
