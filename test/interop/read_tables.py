"""Reads tables of a lake as users of PyIceberg and of DuckDB in Python would, and prints the result of each.

Usage: read_tables.py URL EXTENSIONS, with a JSON list of [table, snapshot id or null] on standard input.
Prints, for each table and reader, the columns as [name, type], the number of rows, and a checksum of their values: the
SHA-256 of the sorted SHA-256s of the rows, where a row is a JSON array of texts (times in microseconds since the epoch,
bytes in hexadecimal).
"""

import hashlib
import json
import sys

import pyarrow as pa
from pyiceberg.catalog import load_catalog

import duckdb


def texts(column):
    kind = column.type
    if pa.types.is_timestamp(kind):
        return [
            None if value is None else str(value)
            for value in column.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64()).to_pylist()
        ]
    values = column.to_pylist()
    if pa.types.is_decimal(kind):
        return [None if value is None else format(value, f".{kind.scale}f") for value in values]
    if pa.types.is_boolean(kind):
        return [None if value is None else str(value).lower() for value in values]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [None if value is None else value.hex() for value in values]
    return [None if value is None else str(value) for value in values]


def found(columns, table):
    rows = zip(*[texts(column) for column in table.columns], strict=True)
    digests = sorted(
        hashlib.sha256(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest() for row in rows
    )
    return {"columns": columns, "rows": len(digests), "checksum": hashlib.sha256("".join(digests).encode()).hexdigest()}


def main():
    url, extensions = sys.argv[1:]
    catalog = load_catalog("lake", type="rest", uri=url)
    connection = duckdb.connect(config={"extension_directory": extensions, "autoinstall_known_extensions": "false"})
    connection.execute("load avro; load httpfs; load iceberg; set TimeZone = 'UTC'")
    connection.execute(
        f"attach 'coinlake' as lake (type iceberg, endpoint '{url}', authorization_type 'none', "
        "access_delegation_mode 'none')"
    )
    reports = []
    for name, snapshot in json.load(sys.stdin):
        snapshot_id = None if snapshot is None else int(snapshot)
        scan = catalog.load_table(name).scan(snapshot_id=snapshot_id)
        by_pyiceberg = [[field.name, str(field.field_type)] for field in scan.projection().fields]
        version = "" if snapshot_id is None else f" at (version => {snapshot_id})"
        relation = connection.sql(f"select * from lake.{name}{version}")
        by_duckdb = [[column, str(kind)] for column, kind in zip(relation.columns, relation.types, strict=True)]
        reports.append(
            {"pyiceberg": found(by_pyiceberg, scan.to_arrow()), "duckdb": found(by_duckdb, relation.to_arrow_table())}
        )
    print(json.dumps(reports))


main()
