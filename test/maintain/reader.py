"""Reads and writes tables as a user of PyIceberg would, until standard input closes.

Usage: reader.py URL, with one JSON object per line: {"do": "read", "table": …, "snapshot_id": … or null}, or another
action of `ACTIONS`. Answers each with one JSON object per line: {"result": …} or {"error": …}. Rows are sorted lists of
texts.
"""

import json
import sys

import pyarrow as pa
from pyiceberg.catalog import load_catalog

catalog = load_catalog("lake", type="rest", uri=sys.argv[1])


def rows_of(arrow):
    return sorted([None if value is None else str(value) for value in row.values()] for row in arrow.to_pylist())


def read(table, snapshot_id=None):
    snapshot_id = None if snapshot_id is None else int(snapshot_id)
    return rows_of(catalog.load_table(table).scan(snapshot_id=snapshot_id).to_arrow())


def inspect(table):
    inspected = catalog.load_table(table).inspect
    entries = inspected.entries().to_pylist()
    return {
        "files": sorted([row["content"], row["record_count"]] for row in inspected.files().to_pylist()),
        "entries": sorted([row["status"], row["data_file"]["record_count"]] for row in entries),
        "sizes": [sum(len(row["readable_metrics"]) for row in entries)],
        "history": [row["is_current_ancestor"] for row in inspected.history().to_pylist()],
        "snapshots": [row["operation"] for row in inspected.snapshots().to_pylist()],
        "manifests": len(inspected.manifests().to_pylist()),
        "partitions": len(inspected.partitions().to_pylist()),
    }


def create(table, ids):
    rows = pa.table({"id": pa.array(ids, pa.int64()), "note": [f"note {number}" for number in ids]})
    catalog.create_table(table, rows.schema).append(rows)


def append(table, ids, **columns):
    loaded = catalog.load_table(table)
    schema = loaded.schema().as_arrow()
    values = {"id": ids, **columns}
    loaded.append(
        pa.table([pa.array(values.get(field.name, [None] * len(ids)), field.type) for field in schema], schema=schema)
    )


def delete(table, where):
    catalog.load_table(table).delete(where)


ACTIONS = {action.__name__: action for action in (read, inspect, create, append, delete)}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"result": ACTIONS[request.pop("do")](**request)}
    except Exception as error:  # the test receives it and fails
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
